#!/usr/bin/env python3
"""Writes tests/data/policy/pdq.json: PDQ hashes by the pdqhash package (0.2.8) of pictures that a formula draws.

usage: pdq_vectors.py > tests/data/policy/pdq.json      (needs: pip install pdqhash==0.2.8)
"""

import json

import numpy as np
import pdqhash

SIZES = [(5, 5), (7, 64), (64, 64), (63, 65), (48, 80), (100, 37), (128, 128), (129, 127), (240, 416), (480, 832), (333, 512), (4, 90)]


def picture(height, width, kind):
    """uint8 [height, width, 3] in integers only: waves of squares, of products, and both folded."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    square = (x * x * (kind + 1) + y * y * 3 + c * 4000) // 97 % 512
    product = (x * y * (2 * kind + 1) + 13 * x + 1000 * c) // 61 % 512
    value = [square, product, square + product, (x * 5 + y * 3 * kind + 40 * c) % 512][kind % 4] % 512
    return np.where(value < 256, value, 511 - value).astype(np.uint8)


def main():
    rows = []
    for height, width in SIZES:
        for kind in range(4):
            bits, quality = pdqhash.compute(picture(height, width, kind))
            digits = "".join(str(int(bit)) for bit in bits)
            rows.append({"height": height, "width": width, "kind": kind, "hash": f"{int(digits, 2):064x}", "quality": int(quality)})
    print(json.dumps(rows, indent=0))


if __name__ == "__main__":
    main()
