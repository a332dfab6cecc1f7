#!/bin/bash
# A slice of Cloud TPU, every machine of it: bash experiments/launch/tpu_pod.sh NAME ZONE
# Wanted: the slice (gcloud compute tpus tpu-vm create ...), and on each of its machines, at the same
# place, a file system that all share (Filestore over NFS), here /shared, with this repository in it
# and a virtual environment: /shared/venv/bin/pip install -e '/shared/mmjax[tpu]'
set -euo pipefail
name=${1:?the name of the slice}
zone=${2:?the zone that it is in}

# The same command on each machine; JAX finds the others by itself. Run it again after a preemption:
# it goes on from the newest checkpoint.
gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all --command='
    cd /shared/mmjax &&
    XDG_CACHE_HOME=/shared/cache /shared/venv/bin/python experiments/mnist_match.py --workdir /shared/runs/mnist \
        --data.data-dir /shared/data --batch-size 4096 --parallel jit --distributed'
