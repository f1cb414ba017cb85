#!/usr/bin/env bash
# Run the waiting GPU checks, those worth most first:
#   benchmarks/gpu/run.sh [SECONDS, default 480] [STEPS of the long runs, default 5000]
# After SECONDS no further check is begun, and the one under way is ended; each also has a share of
# SECONDS of its own, so that one that hangs costs the others little: unfinished.txt names them.
# A check that fails is named in failed.txt and the next one is begun; the exit code is then 1.
# Everything is printed, and kept as it comes in all.txt; what a check prints also in NAME.txt, and
# errors in errors.txt, except where OUT is set: few files come back from there.
# RESULTS=FOLDER, or else OUT, says where the results go (default: benchmarks/gpu/results), BIN=FOLDER
# where `python` is (default: .venv/bin, else the python3 of the PATH), COMMIT what is checked where
# there is no repository.
set -uo pipefail
cd "$(dirname "$0")/../.."
budget=${1:-480}
steps=${2:-5000}
if [ -n "${BIN:-}" ]; then
  python=$BIN/python
elif [ -x .venv/bin/python ]; then
  python=.venv/bin/python
else
  python=python3
fi
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1  # the package may not be installed
if ! "$python" -c 'import av, vgan.cli' > /dev/null; then
  echo "$python lacks a package; benchmarks/gpu/README.md says how to bring it" >&2
  exit 1
fi
device=$("$python" -c 'import torch; print(torch.cuda.get_device_name().replace(" ", "-"))') || exit 1
out=${RESULTS:-${OUT:-benchmarks/gpu/results}}/$(date -u +%Y-%m-%d)-$device
work=$out  # of clips and runs, which a second call goes on with
[ -z "${OUT:-}" ] || work=$(mktemp -d)
mkdir -p "$out"
export XDG_CACHE_HOME=$(realpath "$work")/cache  # one check's forms are the next one's
rm -f "$out"/{failed,unfinished,errors,all}.txt  # of an earlier try on the same day

check() {  # SHARE NAME COMMAND...: SHARE is of the default 480 seconds
  local name=$2 left=$((budget - SECONDS)) share=$(($1 * budget / 480)) begun=$SECONDS code
  local said=/dev/null errors=/dev/null
  shift 2
  if ((left <= 0)); then
    echo "$name: not begun" | tee -a "$out/unfinished.txt"
    return
  fi
  ((share < left)) && left=$((share > 0 ? share : 1))
  [ -n "${OUT:-}" ] || said=$out/$name.txt errors=$out/errors.txt
  echo "== $name, $SECONDS s"
  # INT as by Ctrl-C, on which a training run is saved. It goes to all that the check has started.
  timeout --signal INT --kill-after 20 "$left" "$@" \
    > >(tee -i "$said") 2> >(tee -ia "$errors" >&2) < /dev/null &
  running=$!
  wait "$running"
  code=$?
  if ((code == 0)); then
    return
  elif ((code == 124 || SECONDS - begun >= left)); then
    echo "$name: ended after $left s" | tee -a "$out/unfinished.txt"
  else
    echo "$name: exit code $code" | tee -a "$out/failed.txt"
  fi
}
step() {  # SHARE NAME OPTIONS...
  check "$1" "$2" "$python" benchmarks/train_step.py --width 64 --batch 64 "${@:3}"
}

running=
checks() {
  set -m  # or what runs beside the script would not hear INT
  trap '[ -z "$running" ] || kill -INT "$running"; wait; exit 130' INT
  echo "device $device"
  echo "commit ${COMMIT:-$(git rev-parse HEAD 2> /dev/null || echo unknown)}"
  "$python" -c 'import torch; print("torch", torch.__version__, "cudnn", torch.backends.cudnn.version())'

  step 180 step-64 --pairs 3 --steps 20
  check 60 product "$python" benchmarks/gpu/check.py --product 8192
  check 120 smoke "$python" benchmarks/gpu/smoke.py
  step 120 step-64-compiled --steps 20 --compile --ours-only
  check 60 generate "$python" benchmarks/generate.py --width 64 --clips 3000 --turns 1
  check 60 mixture "$python" benchmarks/mixture.py --ours-only \
    --codes 100000 --components 256 --numbers 100 --iterations 2 --device cuda
  check 60 input "$python" benchmarks/input.py --clips 5000
  check 120 check-compiled "$python" benchmarks/gpu/check.py --compile
  for batch in 16 32 128; do
    step 80 "step-batch-$batch" --batch "$batch" --pairs 3 --steps 10 --ours-only
  done
  for width in 32 128; do
    step 80 "step-width-$width" --width "$width" --pairs 3 --steps 10 --ours-only
  done
  step 80 step-64-float32 --pairs 3 --steps 20 --dtype float32 --ours-only
  # Only what the suite needs: pytest-benchmark warns beside xdist, and warnings are errors here.
  check 240 tests env PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 "$python" -m pytest \
    -p xdist -p pytest_timeout -p pytest_socket tests/vgan -q -n 8 -m "not slow"

  scenes=$work/precision/scenes  # where precision.py looks for them; the long runs train on them too
  check 60 scenes "$python" -m vgan.cli scenes --out "$scenes" --clips 2000 --seed 0 --categories beach
  check 480 precision "$python" benchmarks/precision.py \
    --width 32 --batch 64 --steps 2000 --scenes 2000 --out "$work/precision"
  for model in two-stream one-stream autoencoder; do
    # The sizes of the preset `paper`, but not its name: that insists on 256 Gaussians for the
    # autoencoder, and so on 25,600 clips.
    check 480 "train-$model" "$python" -m vgan.cli train "$model" --data "$scenes" --category beach \
      --preset small --recipe paper --width 64 --batch 64 --steps "$steps" \
      --sample-every 1000 --checkpoint-every 1000 --out "$work/runs/$model" --resume
    [ -f "$work/runs/$model/sheet.png" ] || continue
    cp "$work/runs/$model/sheet.png" "$out/sheet-$model.png"
    check 60 "measure-$model" "$python" -m vgan.cli measure "$work/runs/$model" --json
  done

  if [ -e "$out/failed.txt" ]; then
    echo "failed:"
    cat "$out/failed.txt"
    exit 1
  fi
}

trap : INT  # the checks end by themselves, and say what they leave
checks 2>&1 | tee -i "$out/all.txt"
exit "${PIPESTATUS[0]}"
