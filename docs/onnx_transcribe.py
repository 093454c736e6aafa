"""`python onnx_transcribe.py MODEL.onnx FILE`: a network at work without PyTorch and without asr_topdown."""

import json
import sys
import unicodedata

import numpy as np
import onnxruntime
import soundfile

session = onnxruntime.InferenceSession(sys.argv[1])
about = session.get_modelmeta().custom_metadata_map
sound, rate = soundfile.read(sys.argv[2], dtype="float32")
if rate != int(about["sample_rate"]):
    sys.exit(f"{sys.argv[2]}: {rate} Hz, the network wants {about['sample_rate']} Hz")
if sound.ndim > 1:
    sound = sound.mean(1)
inputs = {"sound": sound[None], "lengths": np.array([len(sound)])}
log_probs, lengths = session.run(None, inputs)
best = log_probs[0, : lengths[0]].argmax(-1)
kept = [label for label, before in zip(best, [0, *best], strict=False) if label not in (0, before)]
units = [json.loads(about["units"])[label] for label in kept]
gap = " " if about["unit"] == "word" else ""
text = gap.join(units).replace("<space>", " ").replace("▁", " ")
print(unicodedata.normalize("NFC", " ".join(text.split())))
