// Copyright 2026 The bifsmn_tf Authors.
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
//     http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.

#include "custom_ops/kernels/path.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "custom_ops/kernels/path_x86.h"

#if defined(__aarch64__) && defined(__has_include)
#if __has_include("custom_ops/kernels/neon_paths.h")
#include "custom_ops/kernels/neon_paths.h"
#define BIFSMN_NEON_PATHS
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#endif
#endif

namespace bifsmn {
namespace {

#if defined(BIFSMN_NEON_PATHS)
// HWCAP_CPUID of <asm/hwcap.h>, which older headers lack.
constexpr unsigned long kHwcapCpuid = 1ul << 11;

// Whether an Arm design issues in order: Cortex-A34, A35, A53, A55, A510, A520.
bool IsInOrderPart(unsigned implementer, unsigned part) {
  if (implementer != 0x41) return false;
  switch (part) {
    case 0xd02: case 0xd03: case 0xd04: case 0xd05: case 0xd46: case 0xd80: return true;
    default: return false;
  }
}

// The kernel lets programs read the identification register of the core they run on, or says in
// /proc/cpuinfo. A chip of two kinds of cores may answer for either; each kernel runs on both.
bool IsInOrderCore(unsigned long hwcap) {
  if ((hwcap & kHwcapCpuid) != 0) {
    uint64_t midr = 0;
    asm("mrs %0, MIDR_EL1" : "=r"(midr));
    return IsInOrderPart(midr >> 24 & 0xff, midr >> 4 & 0xfff);
  }
  std::FILE* file = std::fopen("/proc/cpuinfo", "re");
  if (file == nullptr) return false;
  unsigned implementer = 0, part = 0;
  char line[256];
  while (part == 0 && std::fgets(line, sizeof(line), file) != nullptr) {
    const char* colon = std::strchr(line, ':');
    if (colon == nullptr) continue;
    if (std::strncmp(line, "CPU implementer", 15) == 0) {
      implementer = static_cast<unsigned>(std::strtoul(colon + 1, nullptr, 0));
    } else if (std::strncmp(line, "CPU part", 8) == 0) {
      part = static_cast<unsigned>(std::strtoul(colon + 1, nullptr, 0));
    }
  }
  std::fclose(file);
  return IsInOrderPart(implementer, part);
}
#endif

}  // namespace

const std::vector<const KernelPath*>& AvailablePaths() {
  static const std::vector<const KernelPath*> paths = [] {
    std::vector<const KernelPath*> found = {&PortablePath()};
#if defined(__x86_64__)
    // The compiler's runtime asks CPUID, and XGETBV whether the system saves the wide registers.
    __builtin_cpu_init();
    if (__builtin_cpu_supports("popcnt")) found.push_back(&PopcntPath());
    if (__builtin_cpu_supports("popcnt") && __builtin_cpu_supports("avx2") &&
        __builtin_cpu_supports("fma")) {
      found.push_back(&Avx2Path());
    }
    if (__builtin_cpu_supports("popcnt") && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vpopcntdq")) {
      found.push_back(&Avx512Path());
    }
#elif defined(BIFSMN_NEON_PATHS)
    found.push_back(&NeonFbckPath());
    const bool in_order = IsInOrderCore(getauxval(AT_HWCAP));
    if (!in_order) found.push_back(&NeonA53Path());
    found.push_back(&NeonPath());
    if (in_order) found.push_back(&NeonA53Path());
#endif
    return found;
  }();
  return paths;
}

const KernelPath* ChosenPath(std::string* error) {
  struct Choice {
    const KernelPath* path = nullptr;
    std::string error;
  };
  static const Choice choice = [] {
    Choice result;
    const auto& paths = AvailablePaths();
    const char* name = std::getenv("BIFSMN_TF_KERNELS");
    if (name == nullptr || *name == '\0') {
      result.path = paths.back();
      return result;
    }
    std::string names;
    for (const KernelPath* path : paths) {
      if (std::strcmp(path->name, name) == 0) result.path = path;
      names += (names.empty() ? "" : ", ") + std::string(path->name);
    }
    if (result.path == nullptr) {
      result.error = "the environment variable BIFSMN_TF_KERNELS should name kernels that this "
                     "processor can run: " + names + ". Received: \"" +
                     std::string(name).substr(0, 60) + "\"";
    }
    return result;
  }();
  if (choice.path == nullptr && error != nullptr) *error = choice.error;
  return choice.path;
}

}  // namespace bifsmn
