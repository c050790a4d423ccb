#!/usr/bin/env bash
# Measures on a machine with a CUDA device what was built on one without.
#
#     benches/gpu.sh build FOLDER              here: needs Rust, nvcc, xz. Packs program, device tests and device bench.
#     benches/gpu.sh measure FOLDER [PART...]  there: needs this tree and FOLDER, neither Rust nor a network.
#
# Parts, in this order: tests, sanitizer, bench, torch, quality, profile. Each has its own time limit and leaves one file in
# $OUT, or in FOLDER/results; the whole ends within nine minutes, and a part that finds no time left says so.
# For `quality` the file datasets/etth1.parquet is packed; ETTH1 names another place.
set -euo pipefail

tree=$(cd "$(dirname "$0")/.." && pwd)
most_bytes=$((60 << 20))   # of the packed files
whole=530                  # seconds, of all parts

fail() { echo "gpu.sh: $*" >&2; exit 1; }

# The file that cargo built for target $1 of kind $2, from its messages on stdin.
executable() {
  grep '"reason":"compiler-artifact"' | grep "\"kind\":\[\"$2\"\],[^}]*\"name\":\"$1\"" |
    sed -nE 's/.*"executable":"([^"]+)".*/\1/p' | tail -1
}

build() {
  local folder=$1 messages staged name
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
  cd "$tree"
  [ -n "${NVCC:-}${CUDA_HOME:-}" ] || command -v nvcc >/dev/null || fail "nvcc was not found; put it on the PATH, or set CUDA_HOME or NVCC"
  messages=$(mktemp)
  staged=$(mktemp -d)
  # The tests need the program, so one call builds all three.
  cargo test --release --features cuda --test device --bench device --no-run --message-format json-render-diagnostics >"$messages"
  cp "$(executable candlewick bin <"$messages")" "$staged/candlewick"
  cp "$(executable device test <"$messages")" "$staged/device-tests"
  cp "$(executable device bench <"$messages")" "$staged/device-bench"
  strip "$staged"/*
  if [ -f "${ETTH1:-datasets/etth1.parquet}" ]; then
    cp "${ETTH1:-datasets/etth1.parquet}" "$staged/etth1.parquet"
  else
    echo "gpu.sh: no ETTh1, so 'quality' will have nothing to train on" >&2
  fi
  git rev-parse HEAD >"$staged/commit" 2>/dev/null || echo unknown >"$staged/commit"
  ls -l "$staged"
  # The three programs have most of their code in common: a dictionary that reaches from one into the next.
  tar -C "$staged" -cf - . | xz -T1 --lzma2=preset=6,dict=256MiB >"$folder/candlewick-gpu.tar.xz"
  rm -r "$staged" "$messages"
  ls -l "$folder/candlewick-gpu.tar.xz"
  [ "$(stat -c %s "$folder/candlewick-gpu.tar.xz")" -le $most_bytes ] || fail "the packed files have more than $most_bytes bytes"
}

# part NAME SECONDS COMMAND...: runs a part within its limit and what is left of the whole; its words go to its file.
part() {
  local name=$1 limit=$2 left=$((whole - SECONDS)) start=$SECONDS code=0
  shift 2
  case " $wanted " in *" $name "*) ;; *) return 0 ;; esac
  if [ $left -lt 10 ]; then
    echo "$name: no time was left" | tee "$out/$name.txt"
    return 0
  fi
  [ "$limit" -le $left ] || limit=$left
  timeout -k 5 "$limit" "$@" >"$out/$name.txt" 2>&1 || code=$?
  [ $code -ne 124 ] || echo "stopped at its limit of $limit s" >>"$out/$name.txt"
  [ $code -eq 0 ] || failed="$failed $name"
  echo "$name: exit code $code after $((SECONDS - start)) s"
}

# The epochs' losses, and the sum of each network's weights, of the run in folder $1.
losses() {
  [ -d "$1" ] || { echo "no run"; return 0; }
  for file in "$1"/*/events.jsonl; do
    [ -f "$file" ] || continue
    grep -h '"event":"epoch"' "$file" | sed -E 's/.*"task":"([^"]*)","epoch":([0-9]+),(.*)\}\}/\1, epoch \2: \3/' | sort
  done
  (cd "$1" && find . -name model.safetensors -exec sha256sum {} + | sed -E 's|\./[^/]*/models/||' | sort -k 2)
}

# One run of the quality experiment: seed, device, folder.
train() {
  "$programs/candlewick" run "$tree/benches/device_quality.yaml" --set "seed=$1" --device "$2" --no-report --no-audit \
    --runs "$3" >"$3.out" 2>&1 || { echo "FAILED on $2, seed $1:"; tail -5 "$3.out"; }
}

# In a folder of its own, where the experiment finds its data. The runs on the CPU have begun before.
quality() {
  cd "$programs/quality"
  if [ ! -f datasets/etth1.parquet ]; then echo "ETTh1 was not packed"; return 0; fi
  show() { echo "== $1"; losses "$1"; }
  for run in 1:cuda-1 1:cuda-1-again 2:cuda-2; do
    train "${run%%:*}" cuda "${run#*:}"
    show "${run#*:}"
  done
  local code=0
  # No run is the same as no other one.
  if losses cuda-1 | grep -q safetensors && cmp -s <(losses cuda-1) <(losses cuda-1-again); then
    echo "CUDA repeats its own bits"
  else
    echo "CUDA DOES NOT REPEAT ITS OWN BITS"
    code=1
  fi
  while [ -e cpu-running ]; do sleep 1; done
  show cpu-1
  show cpu-2
  return $code
}

quality_on_cpu() {
  cd "$programs/quality"
  (train 1 cpu cpu-1) & (train 2 cpu cpu-2) & wait
  rm cpu-running
}

# Runs of the device tests under a tool, which makes them slow: those about members that are alone, of every family.
sanitizer() {
  local tool code=0
  if ! command -v compute-sanitizer; then echo "there is no compute-sanitizer"; return 0; fi
  for tool in memcheck racecheck; do
    echo "== $tool"
    timeout -k 5 "$1" compute-sanitizer --tool $tool --error-exitcode 9 "$programs/device-tests" --test-threads 1 \
      members_ without_keeping any_company are_alone rows_are nan_in_a_query any_number_and_length || {
      code=$?
      echo "$tool: exit code $code (9: it found something, 124: out of time)"
    }
  done
  return $code
}

torch() {
  if python3 -c 'import torch' 2>/dev/null; then
    python3 "$tree/benches/torch_device.py" --seconds "$1"
  else
    echo "there is no PyTorch"
  fi
}

profile() {
  if command -v ncu; then
    timeout -k 5 25 ncu --clock-control none --section SpeedOfLight --section Occupancy --launch-count 30 \
      --kernel-name 'regex:lstm_|linear_|attention_|norm_' "$programs/device-bench" kernels || echo "ncu: exit code $?"
  fi
  if command -v nsys; then
    cd "$programs"
    timeout -k 5 40 nsys profile --trace cuda --cuda-graph-trace node --stats true --output grid --force-overwrite true \
      "$programs/device-bench" grid || echo "nsys: exit code $?"
  fi
}

unpack() {
  if command -v xz >/dev/null; then
    xz -dc "$1" | tar -C "$programs" -xf -
  else
    python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1], "r:xz").extractall(sys.argv[2])' "$1" "$programs"
  fi
}

measure() {
  local folder
  folder=$(cd "$1" && pwd)
  shift
  failed=
  wanted=${*:-tests sanitizer bench torch quality profile}
  programs=$(mktemp -d)
  trap 'rm -rf "$programs"' EXIT
  out=${OUT:-$folder/results}
  mkdir -p "$out" "$programs/quality/datasets"
  unpack "$folder/candlewick-gpu.tar.xz"
  [ ! -f "$programs/etth1.parquet" ] || mv "$programs/etth1.parquet" "$programs/quality/datasets/"
  { echo "built from $(cat "$programs/commit")"; nvidia-smi 2>&1 || true; echo "$(nproc) processors"; } | tee "$out/machine.txt"
  export CANDLEWICK_DEVICE=${CANDLEWICK_DEVICE:-real} CANDLEWICK_PROGRAM=$programs/candlewick
  export -f sanitizer torch profile quality quality_on_cpu train losses
  export programs tree
  # On two cores beside the parts whose times do not count.
  if [[ " $wanted " == *" quality "* && -f $programs/quality/datasets/etth1.parquet ]]; then
    touch "$programs/quality/cpu-running"
    timeout -k 5 240 bash -c quality_on_cpu >/dev/null 2>&1 || rm -f "$programs/quality/cpu-running" &
  fi
  part tests 100 "$programs/device-tests" --test-threads 8
  part sanitizer 90 bash -c 'sanitizer 42'
  part bench 170 "$programs/device-bench"
  part torch 140 bash -c 'torch 125'
  part quality 120 bash -c quality
  part profile 70 bash -c profile
  echo "all within $SECONDS s; results in $out"
  [[ " $failed " != *" tests "* ]] || tail -n 25 "$out/tests.txt"
  [ -z "$failed" ] || fail "these parts failed or were stopped:$failed"
}

case "${1:-} ${2:-}" in
  "build "?*) build "$2" ;;
  "measure "?*) shift; measure "$@" ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
