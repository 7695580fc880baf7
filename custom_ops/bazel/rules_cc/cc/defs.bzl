"""The C++ rules built into Bazel, under the names that `@rules_cc` users load."""

cc_binary = native.cc_binary
cc_import = native.cc_import
cc_library = native.cc_library
cc_test = native.cc_test
cc_toolchain = native.cc_toolchain

# Not in every version of Bazel.
cc_proto_library = getattr(native, "cc_proto_library", None)
cc_toolchain_suite = getattr(native, "cc_toolchain_suite", None)
fdo_prefetch_hints = getattr(native, "fdo_prefetch_hints", None)
fdo_profile = getattr(native, "fdo_profile", None)
objc_import = getattr(native, "objc_import", None)
objc_library = getattr(native, "objc_library", None)
