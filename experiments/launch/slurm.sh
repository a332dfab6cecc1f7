#!/bin/bash
# Four machines of eight GPUs under Slurm: sbatch experiments/launch/slurm.sh
#SBATCH --job-name=mnist_match
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=8       # a process for each GPU: so JAX expects it under Slurm
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8         # cores of a process, for reading data
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@180         # three minutes before the end: the state is saved
#SBATCH --requeue                 # after a preemption or a broken machine Slurm starts it again
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append        # ... and the log goes on

set -uo pipefail
cd "$SLURM_SUBMIT_DIR"            # on a file system that all machines share, runs/ too
source venv/bin/activate          # python -m venv venv; venv/bin/pip install -e '.[cuda13]'

# JAX finds the other processes in Slurm's variables. The data must have been prepared: see README.
# srun takes no --cpus-per-task over from above (since Slurm 22.05), so it is told again.
srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" \
    python experiments/mnist_match.py --workdir "runs/$SLURM_JOB_ID" --distributed \
        --data.data-dir data --batch-size 4096 --parallel jit
code=$?

# 143: stopped by SIGTERM, with the state saved. The same job goes on from there, unless somebody
# cancelled it.
if [ "$code" -eq 143 ] && [ "$(squeue --noheader --job "$SLURM_JOB_ID" --format %T)" = RUNNING ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
