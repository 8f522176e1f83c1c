#!/usr/bin/env python3
"""Train the handwritten-digit classifier used by the QuickStart sample.

Run it from anywhere (needs torch 1.13, scikit-learn and numpy; under a minute on a CPU):

    python3 tools/models/train_digits.py

It writes two files into samples/QuickStart/Assets (or the folder given by --out):

    digits.onnx         input  `image`  float32 [batch, 64], pixels divided by 16 by the caller
                        output `logits` float32 [batch, 10], one score per digit
    digits-heldout.csv  the images kept out of training: `label,p0,...,p63`, pixels 0..16

The images are scikit-learn's copy of "Optical Recognition of Handwritten Digits"
(E. Alpaydin & C. Kaynak, UCI Machine Learning Repository, CC BY 4.0).

The held-out images are used once, after training, to measure accuracy. If it is below
--min-accuracy, nothing is written and the exit code is 1.
"""
import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

DEFAULT_OUT = Path(__file__).resolve().parents[2] / "samples" / "QuickStart" / "Assets"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="output folder")
    parser.add_argument("--seed", type=int, default=20, help="seed of the split and of the training")
    parser.add_argument("--held-out", type=int, default=297, help="number of images kept out of training")
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--min-accuracy", type=float, default=0.97)
    return parser.parse_args()


def to_input(pixels):
    """Pixels 0..16 to the model's input, 0..1."""
    return torch.from_numpy((pixels / 16).astype(np.float32))


def jitter(images, amount=0.08):
    """Shift, scale, rotate and shear each image a little, at random."""
    count = len(images)
    affine = torch.eye(2, 3) + amount * torch.randn(count, 2, 3)
    grid = nn.functional.affine_grid(affine, (count, 1, 8, 8), align_corners=False)
    moved = nn.functional.grid_sample(images.view(count, 1, 8, 8), grid, align_corners=False)
    return moved.view(count, 64)


def train(pixels, labels, epochs, batch_size):
    model = nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(),
        nn.Linear(256, 80), nn.ReLU(),
        nn.Linear(80, 10),
    )
    images, targets = to_input(pixels), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    loss_of = nn.CrossEntropyLoss()
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(batch_size):
            optimizer.zero_grad()
            loss_of(model(jitter(images[rows])), targets[rows]).backward()
            optimizer.step()
        schedule.step()
    return model.eval()


def main():
    args = parse_args()
    torch.manual_seed(args.seed)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)  # the order of float additions must not depend on the core count

    digits = load_digits()
    pixels, labels = digits.data.astype(np.int64), digits.target.astype(np.int64)
    train_x, test_x, train_y, test_y = train_test_split(
        pixels, labels, test_size=args.held_out, stratify=labels, random_state=args.seed)

    model = train(train_x, train_y, args.epochs, args.batch_size)
    with torch.no_grad():
        predicted = model(to_input(test_x)).argmax(dim=1).numpy()
    correct = int((predicted == test_y).sum())
    accuracy = correct / len(test_y)
    print(f"parameters:        {sum(p.numel() for p in model.parameters())}")
    print(f"training images:   {len(train_y)}")
    print(f"held-out accuracy: {accuracy:.4f} ({correct} of {len(test_y)})")
    if accuracy < args.min_accuracy:
        print(f"error: accuracy is below {args.min_accuracy}; nothing was written", file=sys.stderr)
        return 1

    args.out.mkdir(parents=True, exist_ok=True)
    onnx_path = args.out / "digits.onnx"
    torch.onnx.export(
        model, torch.zeros(2, 64), str(onnx_path), opset_version=13,
        input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}})
    csv_path = args.out / "digits-heldout.csv"
    header = ",".join(["label"] + [f"p{i}" for i in range(64)])
    np.savetxt(csv_path, np.column_stack([test_y, test_x]), fmt="%d", delimiter=",",
               header=header, comments="", newline="\n")
    for path in (onnx_path, csv_path):
        print(f"wrote {path.name}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
