"""Miniature corpora in their owners' layout: official names, tiny tones, and the clutter that real copies have.

``TREES[name](folder)`` writes one and returns the ids that a reader must find in it. Nothing here is a recording.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from unheard.corpora import synthetic


def tone(path: Path, seconds: float = 0.2, frequency: float = 220.0, rate: int = 16_000) -> Path:
    """Write a quiet sine under a name whose extension says the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.1 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)
    kind = {
        ".opus": ("OGG", "OPUS"),
        ".ogg": ("OGG", "VORBIS"),
        ".wav": ("WAV", "PCM_16"),
        ".flac": ("FLAC", "PCM_16"),
    }
    form, subtype = kind[path.suffix.lower()]
    soundfile.write(str(path), wave, rate, format=form, subtype=subtype)
    return path


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """Write a text file with its line ends as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def ravdess(folder: Path) -> set[str]:
    speech = ["03-01-01-01-01-01-01", "03-01-02-02-02-02-02", "03-01-08-01-01-02-24"]
    song = ["03-02-06-02-01-01-02"]
    for name in speech:
        tone(folder / "Audio_Speech_Actors_01-24" / f"Actor_{name[-2:]}" / f"{name}.wav")
    for name in song:
        tone(folder / "Audio_Song_Actors_01-24" / f"Actor_{name[-2:]}" / f"{name}.opus")
    (folder / "README.txt").write_text("as its owner ships it")
    return {*speech, *song}


def emodb(folder: Path) -> set[str]:
    names = ["03a01Fa", "08a02Wb", "16b10Tc"]
    for name in names:
        tone(folder / "wav" / f"{name}.wav")
    (folder / "erkennung.txt").write_bytes("Erkennung für Hörer\r\n".encode("latin-1"))
    return set(names)


def nemo(folder: Path) -> set[str]:
    rows = [
        (
            "WR0_surprised_64.wav",
            "surprised",
            "Ucho wykrywa dźwięki.",
            "ucho wykrywa dźwięki",
            "        WR0",
            "male",
            23,
        ),
        (
            "EB0_neutral_13.wav",
            "neutral",
            "Interesuje mnie historia.",
            "interesuje mnie",
            "        EB0",
            "female",
            27,
        ),
        ("EB0_anger_14.wav", "anger", "Czas ucieka.", "czas ucieka", "        EB0", "female", 27),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "data.tsv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(("file_id", "emotion", "raw_text", "normalized_text", "speaker_id", "gender", "age"))
        writer.writerows(rows)
    for row in rows:
        tone(folder / "samples" / row[0])
    return {Path(row[0]).stem for row in rows}


def ased(folder: Path) -> set[str]:
    names = [
        "01Neutral/n1-01-01-01-01",
        "02Fearful/f2-07-02-02-65",
        "04Sad/S4-04-02-01-29",
        "05Angry/a5-03-01-02-50",
    ]
    for name in names:
        tone(folder / f"{name}.wav")
    return {name.rsplit("/", 1)[-1] for name in names}


def emotale(folder: Path) -> set[str]:
    names = ["DK_001_A_1", "EN_004_N_1", "EN_004_S_5"]
    for name in names:
        tone(folder / "wav" / f"{name}.wav")
    (folder / "speaker_info.csv").write_text("speaker,gender,age\n001,F,22\n004,M,24\n")
    (folder / "annotations.csv").write_text(
        "file,a1_A,a1_V,a1_D,a1_cat,a2_A,a2_V,a2_D,a2_cat,a3_A,a3_V,a3_D,a3_cat,gt_emotion\n"
        "DK_001_A_1.wav,4.0,1.5,4.5,A,4.0,2.5,5.0,A,5.0,1.0,4.5,H,A\n"
        "EN_004_S_5.wav,1.0,3.0,5.0,S,1.0,3.0,5.0,S,1.0,3.0,5.0,B,S\n"
        "EN_004_N_1.wav,2.0,3.0,3.0,N,2.0,3.0,3.0,N,2.0,3.0,3.0,N,N\n"
    )
    return set(names)


def urdu(folder: Path) -> set[str]:
    names = ["Angry/SM1_F10_A010", "Happy/SF2_F1_H01", "Neutral/SM1_F3_N03", "Sad/SF11_F1_S03"]
    for name in names:
        tone(folder / f"{name}.wav")
    return {name.rsplit("/", 1)[-1] for name in names}


def baved(folder: Path) -> set[str]:
    names = ["3/46-m-20-3-2-954", "3/53-m-20-3-2-1021", "0/100-f-6-0-0-1", "6/0-m-21-6-1-1697"]
    for name in names:
        tone(folder / f"{name}.wav")
    (folder / "speakers_info.json").write_text("{}")
    return {name.rsplit("/", 1)[-1] for name in names}


def crema_d(folder: Path) -> set[str]:
    names = ["1001_DFA_ANG_XX", "1002_IEO_HAP_HI", "1003_TIE_SAD_XX", "1004_MTI_NEU_XX"]
    for name in names:
        tone(folder / "AudioWAV" / f"{name}.wav", seconds=0.5)
    write(
        folder / "VideoDemographics.csv",
        '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n'
        '1002,21,"Female","Caucasian","Not Hispanic"\n1003,21,"Female","Caucasian","Not Hispanic"\n',
    )
    votes = {
        # Counts of A D F H N S by voice, face and both; the voice of the third ties.
        "1001_DFA_ANG_XX": ((6, 2, 0, 0, 1, 0), (5, 2, 0, 0, 3, 0), (8, 1, 0, 0, 0, 0)),
        "1002_IEO_HAP_HI": ((0, 0, 0, 2, 7, 0), (0, 0, 0, 9, 1, 0), (0, 0, 0, 10, 0, 0)),
        "1003_TIE_SAD_XX": ((0, 0, 1, 0, 4, 4), (0, 0, 0, 0, 3, 6), (0, 0, 0, 0, 2, 7)),
        "1004_MTI_NEU_XX": ((0, 0, 0, 0, 9, 0), (0, 0, 0, 0, 9, 1), (0, 0, 0, 0, 9, 0)),
    }
    rows = ['"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote"']
    for shown in range(3):
        rows += [
            f'"{shown + 1}0000{k}",{",".join(map(str, counts[shown]))},"{name}",{sum(counts[shown])},0.5,"N"'
            for k, (name, counts) in enumerate(votes.items(), start=1)
        ]
    write(folder / "processedResults" / "tabulatedVotes.csv", "\n".join(rows) + "\n")
    return set(names)


def iemocap(folder: Path) -> set[str]:
    root = folder / "IEMOCAP_full_release"
    utterances = {
        "Ses01F_impro01": {
            "Ses01F_impro01_M000": (7.0, 9.5, "xxx", ("Neutral;", "Frustration; Anger;", "Other;")),
            "Ses01F_impro01_F000": (6.29, 8.23, "neu", ("Neutral;", "Neutral;", "Neutral; Frustration;")),
        },
        "Ses01M_script01_1": {
            "Ses01M_script01_1_F000": (1.0, 2.0, "exc", ("Excited;", "Happiness;", "Excited;"))
        },
        "Ses02F_script01_1": {
            "Ses02F_script01_1_M000": (1.0, 2.0, "ang", ("Anger;", "Anger;", "Neutral state;"))
        },
        "Ses03F_impro02": {
            "Ses03F_impro02_F001": (1.0, 2.0, "hap", ("Happiness;", "Happiness;", "Excited;"))
        },
        "Ses03M_impro02": {"Ses03M_impro02_M001": (1.0, 2.0, "sad", ("Sadness;", "Sadness;", "Fear;"))},
    }
    for dialogue, turns in utterances.items():
        session = root / f"Session{int(dialogue[3:5])}"
        labels = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
        words = []
        for name, (start, end, code, said) in turns.items():
            tone(session / "sentences" / "wav" / dialogue / f"{name}.wav", seconds=0.5)
            labels.append(f"[{start:.4f} - {end:.4f}]\t{name}\t{code}\t[2.5000, 3.0000, 4.0000]")
            labels += [f"C-E{k}:\t{word}\t()" for k, word in enumerate(said, start=2)]
            # The last evaluator left dominance out.
            labels += [
                "C-F1:\tAnger;\t(curious)",
                "A-E3:\tval 3; act 2; dom  5;\t()",
                "A-E4:\tval 2; act 4; dom  ;\t()",
            ]
            labels += ["A-F1:\tval 1; act 1; dom  1;\t()", ""]
            words.append(f"{name} [{start:08.4f}-{end:08.4f}]: Words of {name}.")
        write(session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt", "\n".join(labels) + "\n")
        write(session / "dialog" / "EmoEvaluation" / "Categorical" / f"{dialogue}_e2_cat.txt", "")
        write(session / "dialog" / "transcriptions" / f"{dialogue}.txt", "\n".join(words) + "\n")
    (session / "sentences" / "wav" / dialogue / f"._{name}.wav").write_bytes(b"resource fork")
    return {name for turns in utterances.values() for name in turns}


def meld(folder: Path) -> set[str]:
    header = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode"
    header += ",StartTime,EndTime\r\n"
    times = '8,21,"00:16:16,059","00:16:21,731"\r\n'
    parts = {
        "train": '1,"You must\u2019ve, then.",Chandler,neutral,neutral,0,0,{}'
        "2,No.,The Interviewer,anger,negative,0,1,{}3,Joy!,Monica,joy,positive,1,0,{}",
        "dev": "1,Well.,Chandler,joy,positive,0,0,{}2,Oh.,Ross,neutral,neutral,0,1,{}",
        "test": "1,Why?,Ross,anger,negative,0,0,{}2,So.,Chandler,neutral,neutral,0,1,{}",
    }
    folders = {
        "train": "train/train_splits",
        "dev": "dev/dev_splits_complete",
        "test": "test/output_repeated_splits_test",
    }
    ids = set()
    for part, lines in parts.items():
        lines = lines.format(times, times, times)
        # The owner's older tables are Windows-1252.
        write(
            folder / "MELD.Raw" / f"{part}_sent_emo.csv",
            header + lines,
            "cp1252" if part == "train" else "utf-8",
        )
        clips = [(0, 0), (0, 1), (1, 0)][: lines.count("\r\n")]
        for dialogue, turn in clips:
            tone(folder / "MELD.Raw" / folders[part] / f"dia{dialogue}_utt{turn}.wav", seconds=0.5)
            ids.add(f"{part}/dia{dialogue}_utt{turn}")
    return ids


def msp_podcast(folder: Path) -> set[str]:
    turns = {
        "MSP-PODCAST_0001_0008": ("N", "4.2", "4", "4.6", "127", "Male", "Train"),
        "MSP-PODCAST_0001_0019": ("H", "5.5", "6.5", "5", "127", "Male", "Train"),
        "MSP-PODCAST_0002_0033_01": ("A", "6.0", "1.5", "7", "128", "Female", "Train"),
        "MSP-PODCAST_0002_0034": ("X", "4.0", "3.0", "4", "Unknown", "Unknown", "Train"),
        "MSP-PODCAST_0003_0001": ("A", "6.0", "2.0", "6", "129", "Female", "Development"),
        "MSP-PODCAST_0003_0002": ("N", "4.0", "4.0", "4", "129", "Female", "Development"),
        "MSP-PODCAST_0004_0001": ("H", "5.0", "6.0", "5", "130", "Male", "Test1"),
        "MSP-PODCAST_0004_0002": ("A", "5.0", "2.0", "5", "131", "Female", "Test1"),
        "MSP-PODCAST_0005_0001": ("N", "4.0", "4.0", "4", "132", "Female", "Test2"),
    }
    consensus = ["FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"]
    detailed = ["FileName,Annotation"]
    for name, cells in turns.items():
        tone(folder / "Audios" / f"{name}.wav", seconds=0.5)
        write(folder / "Transcripts" / f"{name}.txt", f"Words of {name}\n")
        consensus.append(",".join((f"{name}.wav", *cells)))
        # The secondary classes are missing on some rows.
        detailed.append(
            f'{name}.wav,"WORKER00000001; Happy; Amused,Excited; A:5.000000; V:6.000000; D:4.000000;"'
        )
        detailed.append(f'{name}.wav,"WORKER00000002; Other-smug; A:4.000000; V:4.000000; D:7.000000;"')
    write(folder / "Labels" / "labels_consensus.csv", "\n".join(consensus) + "\n")
    write(folder / "Labels" / "labels_detailed.csv", "\n".join(detailed) + "\n")
    write(folder / "Partitions.txt", "".join(f"{cells[-1]}; {name}.wav\n" for name, cells in turns.items()))
    return set(turns)


def mosei(folder: Path) -> set[str]:
    rows = [
        "0,--qXJuDtHPw,0,-0.3,0.5,1,1,0,1,1",
        "1,-3g5yACwYnA,0,0.1,0.5,1,1,0,1,0",
        "2,-3g5yACwYnA,1,0.5,0.9,1,1,2,1,0",
        "3,zz_9,3,7.0,8.0,1,1,1,1,2",
        "4,zz_9,11,9.0,9.5,1,1,0,1,2",
    ]
    header = ",file,index,start,end,label2a,label2b,label6,label7,split"
    write(folder / "CMU_MOSEI_Labels.csv", "\n".join([header, *rows]) + "\n")
    for video in ("--qXJuDtHPw", "-3g5yACwYnA"):
        tone(folder / "Audio" / "Full" / "WAV_16000" / f"{video}.wav", seconds=1.0)
    for segment in ("zz_9_3", "zz_9_11"):
        tone(folder / "Audio" / "Segmented_Audio" / "test" / f"{segment}.wav", seconds=0.5)
    return {"--qXJuDtHPw_0", "-3g5yACwYnA_0", "-3g5yACwYnA_1", "zz_9_3", "zz_9_11"}


def tess(folder: Path) -> set[str]:
    names = ["OAF_angry/OAF_back_angry", "OAF_neutral/OA_bite_neutral", "YAF_pleasant_surprised/YAF_bar_ps"]
    for name in names:
        tone(folder / f"{name}.wav", seconds=0.5)
    return {name.rsplit("/", 1)[-1] for name in names}


def savee(folder: Path) -> set[str]:
    for name in ("DC/a01", "DC/n30", "JE/su15", "KL/sa02"):
        tone(folder / "AudioData" / f"{name}.wav", seconds=0.5)
    write(folder / "AudioData" / "Info.txt", "Four speakers\n")
    return {"DC_a01", "DC_n30", "JE_su15", "KL_sa02"}


def audformat(folder: Path) -> set[str]:
    write(
        folder / "db.yaml",
        """name: mini
source: https://example.org
usage: research
languages: [deu]
license: CC0-1.0
raters:
  gold: {type: human}
schemes:
  arousal: {dtype: float, minimum: 1, maximum: 5}
  emotion:
    dtype: str
    labels: [anger, neutral]
  speaker:
    dtype: int
    labels:
      3: {gender: male, age: 31}
      8: {gender: female, age: 34}
  transcription:
    dtype: str
    labels: {a01: Der Lappen liegt auf dem Eisschrank.}
splits:
  test: {type: test}
  train: {type: train}
tables:
  emotion.train:
    type: segmented
    split_id: train
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
      arousal: {scheme_id: arousal}
  emotion.test:
    type: segmented
    split_id: test
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
  files:
    type: filewise
    columns:
      speaker: {scheme_id: speaker}
      transcription: {scheme_id: transcription}
      duration: {}
""",
    )
    write(
        folder / "db.emotion.train.csv",
        "file,start,end,emotion,arousal\n"
        "wav/a.wav,0 days 00:00:00.000000,0 days 00:00:00.400000,anger,5.0\n"
        "wav/a.wav,0 days 00:00:00.400000,,neutral,2\n",
    )
    write(folder / "db.emotion.test.csv", "file,start,end,emotion\nwav/b.wav,0 days,NaT,neutral\n")
    write(
        folder / "db.files.csv",
        "file,speaker,transcription,duration\n"
        "wav/a.wav,3,a01,0 days 00:00:01\nwav/b.wav,8,,0 days 00:00:00.500000\n",
    )
    tone(folder / "wav" / "a.wav", seconds=1.0)
    tone(folder / "wav" / "b.wav", seconds=0.5)
    return {"a_0.000-0.400", "a_0.400-", "b"}


def huggingface(folder: Path) -> set[str]:
    for split, lines in {
        "train": ("a.wav,happy,ann", "deep/b.wav,sad,bob", "c.wav,happy,bob"),
        "test": ("a.wav,sad,cyd",),
    }.items():
        for line in lines:
            tone(folder / "data" / split / line.split(",")[0], seconds=0.5)
        write(
            folder / "data" / split / "metadata.csv",
            "\n".join(["file_name,emotion,speaker_id", *lines]) + "\n",
        )
    write(folder / "README.md", "---\nlicense: cc0-1.0\n---\n")
    return {"data/train/a", "b", "c", "data/test/a"}


def emobox(folder: Path) -> set[str]:
    """A copy of EmoBox with one set, of four actors in two folds."""
    names = [f"03-01-0{emotion}-01-01-01-0{actor}" for actor in range(1, 5) for emotion in (1, 3)]
    where = "downloads/ravdess/audio/Audio_Speech_Actors_01-24"
    rows = {
        name: f'{{"key": "ravdess-{name}", "dataset": "ravdess", "wav": "{where}/Actor_{name[-2:]}/{name}.wav", '
        f'"type": "raw", "sample_rate": 16000, "num_frame": 8000.0, "task": "category", "length": 0.5, '
        f'"emo": "{"Neutral" if name[6:8] == "01" else "Happy"}", "channel": 1}}\n'
        for name in names
    }
    of_set = folder / "data" / "ravdess"
    write(of_set / "ravdess.jsonl", "".join(rows.values()))
    write(of_set / "label_map.json", '{"Neutral": "Neutral", "Happy": "Happy"}')
    for k, tested in enumerate((("01", "03"), ("02", "04")), start=1):
        parts = {
            "test": [n for n in names if n[-2:] in tested],
            "train": [n for n in names if n[-2:] not in tested],
        }
        for part, listed in parts.items():
            file = of_set / f"fold_{k}" / f"ravdess_{part}_fold_{k}.jsonl"
            write(file, "".join(rows[name] for name in listed))
    for name in names:
        tone(folder / where / f"Actor_{name[-2:]}" / f"{name}.wav", seconds=0.5)
    return set(names)


def made(folder: Path) -> set[str]:
    synthetic.write(folder, speakers=1, takes=1, intensities=("normal",), sentences=("01",))
    return {f"03-01-{emotion:02d}-01-01-01-01" for emotion in range(1, 9)}


def generic(folder: Path) -> set[str]:
    for name in ("happy/a", "happy/b", "sad/a"):
        tone(folder / f"{name}.flac")
    return {"happy/a", "b", "sad/a"}


TREES: dict[str, Callable[[Path], set[str]]] = {
    "ravdess": ravdess,
    "emodb": emodb,
    "nemo": nemo,
    "ased": ased,
    "emotale": emotale,
    "urdu": urdu,
    "baved": baved,
    "crema-d": crema_d,
    "iemocap": iemocap,
    "meld": meld,
    "msp-podcast": msp_podcast,
    "mosei": mosei,
    "tess": tess,
    "savee": savee,
    "audformat": audformat,
    "huggingface": huggingface,
    "emobox": emobox,
    "synthetic": made,
    "generic": generic,
}
