"""Measure training steps beside busy processes: how threads wait for each other, and how many there are.

    python benchmarks/threads.py [--busy 0 1 2 4] [--seconds 3]

For each number of busy processes and each setting, a new process repeats the same update of a classifier (42 texts of
225 to 240 tokens, 20,000 words, sizes of 300) and prints tokens per second. OpenMP reads its variables when torch is
imported, so every setting needs a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import time

SETTINGS = {
    "torch's default": {},
    "OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "GOMP_SPINCOUNT=2000": {"GOMP_SPINCOUNT": "2000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
LAYERS = "mlp", "rnn", "gru", "lstm"
VOCABULARY, BATCH, STEPS = 20_000, 42, 240


def tokens_per_second(layer: str, seconds: float) -> int:
    import torch

    from elman.config import ModelConfig, OptimConfig
    from elman.losses import cross_entropy_nats
    from elman.memory import kept_memory
    from elman.models.fast.models import Classifier
    from elman.optim import build_optimizers, clip_gradients

    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    token_ids = torch.randint(4, VOCABULARY, (BATCH, STEPS))
    token_ids[:, ::2] = torch.randint(4, 200, (BATCH, STEPS // 2))  # half of a text are frequent words
    lengths, labels = torch.randint(225, STEPS + 1, (BATCH,)), torch.randint(2, (BATCH,))
    model = Classifier(ModelConfig(layer=layer), VOCABULARY, 2)
    optimizers = build_optimizers(model, OptimConfig())

    def update() -> None:
        cross_entropy_nats(model(token_ids, lengths), labels).mean.backward()
        clip_gradients(model, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    with kept_memory():
        update()
        updates, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds or updates < 3:
            update()
            updates += 1
        return round(updates * int(lengths.sum()) / (time.perf_counter() - started))


def measure(variables: dict[str, str], seconds: float) -> list[int]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, __file__, "--worker", "--seconds", str(seconds)]
    printed = subprocess.run(command, env=clean | variables, check=True, stdout=subprocess.PIPE, text=True).stdout
    speeds: list[int] = json.loads(printed)
    return speeds


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure training steps beside busy processes.")
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2, 4], help="numbers of busy processes")
    parser.add_argument("--seconds", type=float, default=3, help="how long each model is measured")
    parser.add_argument("--worker", action="store_true", help="measure in this process, as it is")
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps([tokens_per_second(layer, arguments.seconds) for layer in LAYERS]))
        return
    print(f"{'busy':>4}  {'setting':<24}" + "".join(f"{layer:>10}" for layer in LAYERS) + "   tokens per second")
    for busy in arguments.busy:
        others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
        try:
            for name, variables in SETTINGS.items():
                speeds = measure(variables, arguments.seconds)
                print(f"{busy:>4}  {name:<24}" + "".join(f"{speed:>10,}" for speed in speeds), flush=True)
        finally:
            for other in others:
                other.kill()


if __name__ == "__main__":
    main()
