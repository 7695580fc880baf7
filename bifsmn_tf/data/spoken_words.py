"""Words of espeak-ng among the recordings: many that are no keyword, and the keywords as well.

The unknown class of a small data set has a few words, and a network learns those instead of
"anything else": it takes a word it never heard for the keyword that sounds most like it. Synthetic
speech has every word. So that "synthetic" does not come to mean "unknown", the same voices also
say the keywords. It replaces recordings, so it is for words that there are none of.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from concurrent import futures

import numpy as np

from bifsmn_tf.data import acoustics, espeak, progress
from bifsmn_tf.data.audio_files import CLIP_SAMPLES, SAMPLE_RATE, to_float
from bifsmn_tf.data.replacements import Replacement, draw_rows

# Frequent English words, then some that share most of their sounds with usual keywords. None is
# a word of Speech Commands: whoever has recordings of those can measure on them.
OTHER_WORDS = tuple(
    """
    about above after again air all also always and animal answer any apple are ask away baby back
    bad ball bank bath beach bear because been before begin below best better big bit black blue
    boat body book both box boy bread break bridge bring brother brown build bus but buy cake call
    came camera car card care carry chair change cheese child church circle city clean clear clock
    close cloud coat cold color come cook corner could country cow cut dance dark daughter day dead
    deep did dinner do doctor does door draw dream dress drink drive drop dry each ear early earth
    east easy eat egg end enough even evening ever every eye face fall family far farm fast father
    feel feet few field fight find finger fire first fish floor flower fly food foot forget free
    friend from front fruit full funny game garden gave get girl give glass gold good grass great
    green ground group grow had hair half hand hard has hat have head hear heart heavy hello help
    her here high hill him his hold home horse hot hour how hundred ice idea into island its job
    jump just keep key kind king kitchen knee lake land large last late laugh lead leaf leg less let
    letter life light like line lion list little live long look lost lot love lunch machine
    made make man many map market may me mean meat meet men middle milk mind minute money month
    moon more morning most mother mountain mouse mouth move much music must my name near neck need
    never new news next nice night north nose not note now number ocean of often oil old only open
    or orange other our out over own page paint paper parent park part party past pay pen people
    pencil phone picture piece pig place plane plant play please point pool poor pot power press
    pretty problem pull push put queen question quick quiet rabbit radio rain read ready red rest
    rich ride ring river road rock room round rule run sad said salt same sand save say school sea
    season seat second see sell send sentence set shall shape she sheep ship shirt shoe shop short
    should show sick side silver sing sister sit sky sleep slow small smile snow so soft some son
    song sound soup south speak spell spoon sport spring stand star start station stay step still
    stone store story street strong student study such sugar summer sun sure sweet swim table tail
    take talk tall tea teach team tell ten test thank that the their them then there these they
    thin thing think this those though thought through throw time tired to today together told
    tomorrow too tooth top touch town toy train travel trip truck true try turn under until use
    vegetable very village visit voice wait walk wall want warm was wash watch water wave way we
    wear weather week well went were west what wheel when where which while white whole why wife
    will wind window winter wish with without woman wood word work world worry would yard year
    yellow yesterday yet you young your zoo
    yell yep yoga nope none gnome upper cup pup cop apart dawn gown dine den loft lift theft lefty
    ripe rice ray stock stomp goat ghost goal gum toe low row
    """.split()
)

# The stock of clips that a training draws from: enough that no clip becomes a friend.
_CLIPS_PER_RECORDING = 3
_MOST_CLIPS = 4000
_PHONEME_STRESS = str.maketrans("", "", "',%=_|")
_OFF_CENTRE = 1500  # samples, standard deviation


@dataclasses.dataclass(frozen=True)
class SpokenWords(Replacement):
    """Replaces some clips by words that espeak-ng speaks, each in a voice of its own.

    A clip of the unknown class becomes a word of `words`, one of a keyword the same keyword.
    Words that sound like a keyword are left out (know and no). Clips are clean: rooms, noise and
    level are the augmentation's.

    Attributes:
        unknown: Index of the unknown class.
        keywords: Pairs of a keyword's index and its spelling.
        probability: Share of the unknown clips that is replaced.
        keyword_probability: Share of the keywords' clips that is replaced.
        words: What the unknown class says.

    Raises:
        FileNotFoundError: By `make`, if espeak-ng is not installed.
        ValueError: By `make`, if every one of `words` sounds like a keyword.
    """

    unknown: int
    keywords: tuple[tuple[int, str], ...]
    probability: float = 0.5
    keyword_probability: float = 0.05
    words: tuple[str, ...] = OTHER_WORDS

    def make(self, samples, labels, rng):
        spellings = dict(self.keywords)
        replaced = {}
        for index in (self.unknown, *spellings):
            known = index in spellings
            share = self.keyword_probability if known else self.probability
            rows = draw_rows(labels, index, share, rng)
            if not len(rows):
                continue
            recordings = np.count_nonzero(labels == index)
            count = min(int(np.ceil(_CLIPS_PER_RECORDING * share * recordings)), _MOST_CLIPS)
            if known:
                words = (spellings[index],)
            else:
                words = _unlike(self.words, tuple(spellings.values()))
            stock = _speak_all(words, count)
            for row, clip in zip(rows, rng.integers(len(stock), size=len(rows))):
                replaced[int(row)] = to_float(stock[clip])
        return replaced


@functools.lru_cache(maxsize=4)
def _unlike(words, keywords):
    """The words that do not sound like a keyword."""
    sounds = espeak.phonemes((*words, *keywords))
    sounds = [sound.translate(_PHONEME_STRESS) for sound in sounds]
    taken = set(sounds[len(words) :])
    kept = tuple(word for word, sound in zip(words, sounds) if sound not in taken)
    if not kept:
        raise ValueError(
            "`words` should have a word that does not sound like a keyword. Received: "
            f"words={words!r} and the keywords {', '.join(keywords)}"
        )
    return kept


@functools.lru_cache(maxsize=64)
def _speak_all(words, count):
    """`count` clips of the words in turn, int16 `(count, 16000)`; always the same ones."""
    voices = espeak.voices()

    def speak(number):
        rng = np.random.default_rng([number, len(words)])
        return _clip(words[number % len(words)], voices[rng.integers(len(voices))], rng)

    title = f"Speaking {words[0]!r}" if len(words) == 1 else "Speaking other words"
    with futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        clips = progress.track(pool.map(speak, range(count)), count, title)
        return np.stack(list(clips))


def _clip(word, voice, rng):
    """A word in about the middle of a second."""
    speech, rate = espeak.speak(
        word, *voice, pitch=int(rng.integers(15, 86)), speed=int(rng.integers(110, 210))
    )
    # Speed and pitch together, which also moves the formants: another vocal tract.
    speech = acoustics.resample(speech, SAMPLE_RATE / rate / rng.uniform(0.88, 1.15))
    speech = acoustics.middle(acoustics.trim(speech), CLIP_SAMPLES)
    free = CLIP_SAMPLES - len(speech)
    start = int(np.clip(free / 2 + _OFF_CENTRE * rng.standard_normal(), 0, free))
    clip = np.zeros(CLIP_SAMPLES)
    clip[start : start + len(speech)] = speech
    return acoustics.to_int16(clip * (rng.uniform(0.1, 0.8) / np.abs(clip).max()))
