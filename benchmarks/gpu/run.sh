#!/usr/bin/env bash
# Run the waiting GPU checks, those worth most first:
#   benchmarks/gpu/run.sh [SECONDS, default 540] [STEPS of the long runs, default 5000]
# After SECONDS no further check is begun, and the one under way is ended: unfinished.txt names them.
# A check that fails is named in failed.txt and the next one is begun; the exit code is then 1.
# RESULTS=FOLDER and BIN=FOLDER say where results go and where `python` and `vgan` are.
set -uo pipefail
trap 'exit 130' INT
cd "$(dirname "$0")/../.."
budget=${1:-540}
steps=${2:-5000}
bin=${BIN:-.venv/bin}
device=$("$bin/python" -c 'import torch; print(torch.cuda.get_device_name().replace(" ", "-"))') || exit 1
out=${RESULTS:-benchmarks/gpu/results}/$(date -u +%Y-%m-%d)-$device
mkdir -p "$out"
rm -f "$out"/{failed,unfinished,errors}.txt  # of an earlier try on the same day
{
  echo "device $device"
  echo "commit $(git rev-parse HEAD)"
  "$bin/python" -c 'import torch; print("torch", torch.__version__, "cudnn", torch.backends.cudnn.version())'
} | tee "$out/about.txt"

check() {  # NAME COMMAND...: what it prints goes to NAME.txt
  local name=$1 left=$((budget - SECONDS)) code
  shift
  if ((left <= 0)); then
    echo "$name: not begun" | tee -a "$out/unfinished.txt"
    return
  fi
  echo "== $name, ${SECONDS} s"
  # As Ctrl-C, on which a training run is saved.
  timeout --foreground --signal INT --kill-after 30 "$left" "$@" 2> >(tee -a "$out/errors.txt" >&2) | tee "$out/$name.txt"
  code=$?
  if ((code == 0)); then
    return
  elif ((code == 124 || SECONDS >= budget)); then
    echo "$name: ended after $left s" | tee -a "$out/unfinished.txt"
  else
    echo "$name: exit code $code" | tee -a "$out/failed.txt"
  fi
}
step() {  # NAME OPTIONS...
  check "$1" "$bin/python" benchmarks/train_step.py "${@:2}"
}

check check "$bin/python" benchmarks/gpu/check.py --product 8192
step step-64 --width 64 --batch 64 --steps 20
step step-64-float32 --width 64 --batch 64 --steps 20 --dtype float32
check check-compiled "$bin/python" benchmarks/gpu/check.py --compile
step step-64-compiled --width 64 --batch 64 --steps 20 --compile
for batch in 16 32 128; do
  step "step-batch-$batch" --width 64 --batch "$batch" --pairs 3 --steps 10
done
for width in 32 128; do
  step "step-width-$width" --width "$width" --batch 64 --pairs 3 --steps 10
done
check mixture "$bin/python" benchmarks/mixture.py \
  --codes 100000 --components 256 --numbers 100 --iterations 2 --device cuda
check input "$bin/python" benchmarks/input.py --clips 5000
check generate "$bin/python" benchmarks/generate.py --width 64 --clips 10000 --turns 1
check tests "$bin/python" -m pytest tests/vgan -q -n 8 -m "not slow"

scenes=$out/precision/scenes  # where precision.py looks for them; the long runs train on them too
check scenes "$bin/vgan" scenes --out "$scenes" --clips 2000 --seed 0 --categories beach
check precision "$bin/python" benchmarks/precision.py \
  --width 32 --batch 64 --steps 2000 --scenes 2000 --out "$out/precision"
for model in two-stream one-stream autoencoder; do
  # The sizes of the preset `paper`, but not its name: that insists on 256 Gaussians for the
  # autoencoder, and so on 25,600 clips.
  check "train-$model" "$bin/vgan" train "$model" --data "$scenes" --category beach \
    --preset small --recipe paper --width 64 --batch 64 --steps "$steps" \
    --sample-every 1000 --checkpoint-every 1000 --out "$out/runs/$model" --resume
  [ -f "$out/runs/$model/sheet.png" ] || continue
  cp "$out/runs/$model/sheet.png" "$out/sheet-$model.png"
  check "measure-$model" "$bin/vgan" measure "$out/runs/$model" --json
done

if [ -e "$out/failed.txt" ]; then
  echo "failed:"
  cat "$out/failed.txt"
  exit 1
fi
