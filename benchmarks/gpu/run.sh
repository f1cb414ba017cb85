#!/usr/bin/env bash
# Run the waiting GPU checks: benchmarks/gpu/run.sh [STEPS of the long runs, default 5000]
set -euo pipefail
cd "$(dirname "$0")/../.."
steps=${1:-5000}
bin=${BIN:-.venv/bin}
device=$("$bin/python" -c 'import torch; print(torch.cuda.get_device_name().replace(" ", "-"))')
out=benchmarks/gpu/results/$(date -u +%Y-%m-%d)-$device
mkdir -p "$out"
{
  echo "device $device"
  echo "commit $(git rev-parse HEAD)"
  "$bin/python" -c 'import torch; print("torch", torch.__version__, "cudnn", torch.backends.cudnn.version())'
} | tee "$out/about.txt"
"$bin/python" benchmarks/gpu/check.py --product 8192 | tee "$out/check.txt"
"$bin/python" benchmarks/gpu/check.py --compile | tee "$out/check-compiled.txt" || true
"$bin/python" benchmarks/input.py --clips 5000 | tee "$out/input.txt"
"$bin/python" benchmarks/generate.py --width 64 --clips 10000 --turns 1 | tee "$out/generate.txt"
"$bin/python" benchmarks/mixture.py --codes 100000 --components 256 --numbers 100 --iterations 2 --device cuda \
  | tee "$out/mixture.txt" || true
for width in 32 128; do
  "$bin/python" benchmarks/train_step.py --width "$width" --batch 64 --steps 20 | tee "$out/step-width-$width.txt"
done
for batch in 16 32 64 128; do
  "$bin/python" benchmarks/train_step.py --width 64 --batch "$batch" --steps 20 | tee "$out/step-$batch.txt"
done
"$bin/python" benchmarks/train_step.py --width 64 --batch 64 --steps 20 --dtype float32 | tee "$out/step-64-float32.txt"
"$bin/python" benchmarks/train_step.py --width 64 --batch 64 --steps 20 --compile | tee "$out/step-64-compiled.txt"
"$bin/python" -m pytest tests/vgan -q -m "not slow" 2>&1 | tail -n 5 | tee "$out/tests.txt"
scenes=$out/precision/scenes  # the long runs train on them too
"$bin/python" benchmarks/precision.py --width 32 --batch 64 --steps 2000 --scenes 2000 --out "$out/precision" \
  | tee "$out/precision.txt"
for model in two-stream one-stream autoencoder; do
  "$bin/vgan" train "$model" --data "$scenes" --category beach --preset paper --recipe paper \
    --steps "$steps" --out "$out/runs/$model" --resume || echo "$model: $?" | tee -a "$out/failed.txt"
  "$bin/vgan" measure "$out/runs/$model" --json > "$out/measure-$model.json" || true
  cp "$out/runs/$model/sheet.png" "$out/sheet-$model.png" || true
done
