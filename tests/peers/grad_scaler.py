"""Golden for the gradient scale of float16: torch.amp.GradScaler with its default settings.

What is compared, and why: a scale that grows or backs off one step early or late changes every later gradient
that underflows or overflows. So one parameter is trained with gradients that are finite but for given steps, and
the scale is printed after every step: a JSON list of numbers.
"""

import argparse
import json


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--overflows", required=True, help="steps, counted from 0, whose gradient is infinite: 3,17")
    args = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    overflows = {int(step) for step in args.overflows.split(",")}
    parameter = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([parameter], lr=0.0)
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(torch.ones(()))  # creates the scale
    scales = []
    for step in range(args.steps):
        parameter.grad = torch.tensor(float("inf") if step in overflows else 1.0)
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
    print(json.dumps(scales))


if __name__ == "__main__":
    main()
