"""Muon (momentum, orthogonalised by Newton-Schulz) for matrices and AdamW for the rest, in one step().

Matrices of one shape are orthogonalised together as a batch, of which each of several processes that train one model takes
a part. Convolutions count as [out, in * kernel].
"""

import math
from collections import defaultdict

import torch

import settings

A, B, C = 3.4445, -4.7750, 2.0315  # of the iteration x (A + B g + C g g), g being x's Gram matrix
LONG = 8  # times as many columns as rows, from which on the iteration is done in the Gram matrix alone


def _by_gram(x, steps, dtype):
    """The iteration on [N, rows, cols] f32 without touching x in between: each step is a polynomial in the same matrix."""
    gram = torch.bmm(x, x.transpose(1, 2))
    norm = gram.diagonal(dim1=1, dim2=2).sum(1).sqrt().view(-1, 1, 1) + 1e-7
    gram /= norm * norm
    identity = torch.eye(x.shape[1], device=x.device)
    product = identity.expand_as(gram)
    for _ in range(steps):
        polynomial = A * identity + B * gram + C * torch.bmm(gram, gram)
        product = torch.bmm(polynomial, product)
        gram = torch.bmm(torch.bmm(polynomial, gram), polynomial)
    return torch.bmm((product / norm).to(dtype), x.to(dtype)).float()


@torch.no_grad()
def _orthogonalise(batch, steps=5):
    """The nearest orthogonal matrices of [N, rows, cols] f32, roughly."""
    dtype = settings.matrix_type(batch.device.type)
    if batch.shape[2] >= LONG * batch.shape[1]:
        return _by_gram(batch, steps, dtype)
    x = batch.to(dtype)
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2).contiguous()
    x = x / (x.float().flatten(1).norm(dim=1).view(-1, 1, 1) + 1e-7).to(dtype)
    for _ in range(steps):
        gram = torch.bmm(x, x.transpose(1, 2))
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=B, alpha=C), x, beta=A)
    return (x.transpose(1, 2) if tall else x).float()


class Muon:
    """`matrices` step by lr, `rest` by AdamW at lr * rest_scale. `set_lr` before each step.

    With `together` its processes share the work; all must hold the same matrices and gradients.
    """

    def __init__(self, matrices, rest, rest_scale=0.5, momentum=0.95, weight_decay=0.01, together=None):
        self.shared = together.shared if together else lambda function, rows: function(rows)
        self.matrices, self.rest_scale = list(matrices), rest_scale
        self.momentum, self.weight_decay = momentum, weight_decay
        self.buffers = [torch.zeros_like(p) for p in self.matrices]
        self.groups = defaultdict(list)
        for i, p in enumerate(self.matrices):
            self.groups[tuple(p.flatten(1).shape)].append(i)
        self.adam = torch.optim.AdamW(list(rest), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
        self.lr = 0.0

    def set_lr(self, lr):
        self.lr = lr
        for group in self.adam.param_groups:
            group["lr"] = lr * self.rest_scale

    @torch.no_grad()
    def step(self):
        for shape, members in self.groups.items():
            members = [i for i in members if self.matrices[i].grad is not None]
            if not members:
                continue
            grads = [self.matrices[i].grad for i in members]
            buffers = [self.buffers[i] for i in members]
            torch._foreach_lerp_(buffers, grads, 1 - self.momentum)
            looked_ahead = torch._foreach_lerp(grads, buffers, self.momentum)
            stacked = torch.stack([g.flatten(1) for g in looked_ahead])
            updates = self.shared(_orthogonalise, stacked) * (0.2 * math.sqrt(max(shape)))
            for i, update in zip(members, updates):
                p = self.matrices[i]
                p.mul_(1 - self.lr * self.weight_decay).add_(update.view_as(p), alpha=-self.lr)
        self.adam.step()

    def zero_grad(self):
        for p in self.matrices:
            p.grad = None
        self.adam.zero_grad(set_to_none=True)

    def state_dict(self):
        return {"buffers": self.buffers, "adam": self.adam.state_dict()}

    def load_state_dict(self, state):
        for mine, saved in zip(self.buffers, state["buffers"]):
            mine.copy_(saved)
        self.adam.load_state_dict(state["adam"])


def split_parameters(named, is_matrix):
    matrices, rest = [], []
    for name, p in named:
        (matrices if p.ndim >= 2 and is_matrix(name) else rest).append(p)
    return matrices, rest
