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
"$bin/vgan" scenes --out "$demo/scenes" --clips "$clips" --seed 1 --categories "$(IFS=,; echo "$*")"

for category in "$@"; do
  for model in two-stream one-stream autoencoder; do
    run="$demo/runs/$category/$model"
    # The autoencoder has learnt what it will by 400 steps; the others take the preset's.
    case $model in autoencoder) count=${steps:-400} ;; *) count=$steps ;; esac
    say "Training the $model model on $category (progress is kept; Ctrl-C and run again to continue)"
    "$bin/vgan" train "$model" --data "$demo/scenes" --category "$category" --preset small \
      --seed 1 --out "$run" --resume ${count:+--steps "$count"}
  done
  for model in two-stream one-stream autoencoder; do
    case $model in autoencoder) source=autoencoder-gmm ;; *) source=vgan-$model ;; esac
    say "Generating $samples clips of $category with $source"
    "$bin/vgan" generate "$demo/runs/$category/$model" --n "$samples" --seed 1 --out "$demo/clips/$source/$category"
  done
done

# Simulated and real answers never share a database: one plan is filled, the other waits for you.
cp studies/demo.toml "$demo/study.toml"
say "Planning the study, twice: for simulated raters and for people"
"$bin/vgan-eval" init "$demo/study.toml" --db "sqlite:///$demo/simulated.db"
"$bin/vgan-eval" init "$demo/study.toml" --db "sqlite:///$demo/study.db"

say "Filling one plan with SIMULATED raters (no person looked at anything)"
"$bin/vgan-eval" simulate --db "sqlite:///$demo/simulated.db" --seed 1
"$bin/vgan-eval" export --db "sqlite:///$demo/simulated.db" --out "$demo/export"
"$bin/python" analysis/table1.py --db "sqlite:///$demo/simulated.db" --paper

say "Done"
cat <<TEXT
Look at    $demo/runs/*/*/sheet.png        what each model generates
           $demo/clips/                    the generated clips
           $demo/export/judgments.csv      the (simulated) judgments
Try next   $bin/vgan-eval rate --db sqlite:///$demo/study.db
           $bin/python analysis/table1.py --db sqlite:///$demo/study.db
           docs/study-file.md              a study of your own clips
TEXT

# The rating page needs somebody to rate: not in a script, not in a test.
if [ -z "${DEMO_STEPS:-}" ] && [ -t 1 ]; then
  say "Your turn: the rating page opens now (Ctrl-C stops it)"
  "$bin/vgan-eval" rate --db "sqlite:///$demo/study.db"
fi
