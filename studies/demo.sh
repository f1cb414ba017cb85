#!/usr/bin/env bash
# The whole way, from drawn scenes to Table 1: studies/demo.sh FOLDER CATEGORY...
# Every command continues where it was stopped, so this can be interrupted and run again.
set -euo pipefail
cd "$(dirname "$0")/.."
demo=$1; shift
bin=${BIN:-.venv/bin}
steps=${DEMO_STEPS:-}
clips=${DEMO_CLIPS:-512}
samples=${DEMO_SAMPLES:-100}
say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

say "Drawing the scenes: $*"
"$bin/vgan" scenes --out "$demo/scenes" --clips "$clips" --seed 1 $(printf -- '--category %s ' "$@")

for category in "$@"; do
  for model in two-stream one-stream autoencoder; do
    run="$demo/runs/$category/$model"
    say "Training the $model model on $category (progress is kept; Ctrl-C and run again to continue)"
    "$bin/vgan" train "$model" --data "$demo/scenes" --category "$category" --preset small \
      --seed 1 --out "$run" --resume ${steps:+--steps "$steps"}
  done
  for model in two-stream one-stream autoencoder; do
    case $model in autoencoder) source=autoencoder-gmm ;; *) source=vgan-$model ;; esac
    say "Generating $samples clips of $category with $source"
    "$bin/vgan" generate "$demo/runs/$category/$model" --n "$samples" --seed 1 --out "$demo/clips/$source/$category"
  done
done
