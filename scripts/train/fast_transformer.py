"""WanTransformer3DModel's forward for training: the same weights and mathematics, fused and compiled.

B batch, L latent tokens, T text tokens, D width, H heads, K width of a head. Weights live in f32 inside the diffusers
module; each step works on copies in the type of matrix products (`Working`), whose gradients go back to the module. The
blocks share one compiled function.

Three things are written otherwise than in diffusers, with the same result, because a CPU likes them better: the padding
of a text is a few tokens that weigh as much as all of it; rotary pairs lie in two halves of a head instead of side by
side (queries and keys permuted alike); GELU's tanh is a sigmoid.
"""

import math

import torch
import torch.nn.functional as F

import settings

torch._dynamo.config.cache_size_limit = 64


class Working:
    """A copy of every f32 parameter of `modules` in the type of matrix products, the leaf of the graph."""

    def __init__(self, modules):
        self.masters = [p for m in modules for p in m.parameters()]
        dtype = settings.matrix_type(self.masters[0].device.type)
        self.copies = [torch.empty_like(p, dtype=dtype).requires_grad_() for p in self.masters]
        self.of = {id(p): c for p, c in zip(self.masters, self.copies)}
        self.refresh()

    @torch.no_grad()
    def refresh(self):
        torch._foreach_copy_(self.copies, self.masters)

    @torch.no_grad()
    def hand_over_gradients(self):
        for p, c in zip(self.masters, self.copies):
            p.grad = None if c.grad is None else c.grad.float()
            c.grad = None


def _layer_norm(x_BLD, eps):
    return F.layer_norm(x_BLD.float(), x_BLD.shape[-1:], eps=eps)


def _rms(x, weight, eps):
    xf = x.float()
    return (xf * torch.rsqrt(xf.pow(2).mean(-1, keepdim=True) + eps) * weight).to(x.dtype)


def _rotate(x_BLHK, cos, sin):
    a, b = x_BLHK.float().chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1).to(x_BLHK.dtype)


def _gelu(x):
    y = x.float()
    return (y * torch.sigmoid(2 * math.sqrt(2 / math.pi) * (y + 0.044715 * y * y * y))).to(x.dtype)


class _Attention(torch.autograd.Function):
    """softmax(q k^T / sqrt(K) + bias) v for [B, H, L, K]; no gradient for the bias.

    Written out: at a few hundred tokens the CPU's flash backward takes 2.5 times as long, and matmul's own backward
    leaves the gradient of the keys transposed, which the rotation behind it then reads across.
    """

    @staticmethod
    def forward(ctx, q, k, v, bias_BT):
        scores = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
        if bias_BT is not None:
            scores = scores + bias_BT[:, None, None]
        weights = torch.softmax(scores, -1).to(q.dtype)
        ctx.save_for_backward(q, k, v, weights)
        return weights @ v

    @staticmethod
    def backward(ctx, grad):
        q, k, v, weights = ctx.saved_tensors
        by_weight = (grad @ v.transpose(-1, -2)).float()
        w = weights.float()
        by_score = ((by_weight - (by_weight * w).sum(-1, keepdim=True)) * w * q.shape[-1] ** -0.5).to(q.dtype)
        turned = by_score.transpose(-1, -2)
        return by_score @ k, turned @ q, weights.transpose(-1, -2) @ grad, None


def _attend(q_BLHK, k_BTHK, v_BTHK, bias_BT=None):
    q, k, v = (t.transpose(1, 2) for t in (q_BLHK, k_BTHK, v_BTHK))
    return _Attention.apply(q, k, v, bias_BT).transpose(1, 2).flatten(2)


def _block(x, text, text_bias, temb, cos, sin, heads, eps, w):
    table, qkv_w, qkv_b, nq, nk, out_w, out_b, n2w, n2b, q_w, q_b, kv_w, kv_b, cq, ck, co_w, co_b, up_w, up_b, dn_w, dn_b = w
    shift, scale, gate, c_shift, c_scale, c_gate = (table.float() + temb).chunk(6, 1)
    h = (_layer_norm(x, eps) * (1 + scale) + shift).to(x.dtype)
    q, k, v = F.linear(h, qkv_w, qkv_b).chunk(3, -1)
    q = _rotate(_rms(q, nq, eps).unflatten(2, (heads, -1)), cos, sin)
    k = _rotate(_rms(k, nk, eps).unflatten(2, (heads, -1)), cos, sin)
    h = F.linear(_attend(q, k, v.unflatten(2, (heads, -1))), out_w, out_b)
    x = (x.float() + h.float() * gate).to(x.dtype)
    h = (_layer_norm(x, eps) * n2w + n2b).to(x.dtype)
    q = _rms(F.linear(h, q_w, q_b), cq, eps).unflatten(2, (heads, -1))
    k, v = F.linear(text, kv_w, kv_b).chunk(2, -1)
    k = _rms(k, ck, eps).unflatten(2, (heads, -1))
    x = x + F.linear(_attend(q, k, v.unflatten(2, (heads, -1)), text_bias), co_w, co_b)
    h = (_layer_norm(x, eps) * (1 + c_scale) + c_shift).to(x.dtype)
    h = F.linear(_gelu(F.linear(h, up_w, up_b)), dn_w, dn_b)
    return (x.float() + h.float() * c_gate).to(x.dtype)


_compiled_block = torch.compile(_block, dynamic=False)


def _block_weights(block, g, heads):
    a, c, f = block.attn1, block.attn2, block.ffn.net

    def halves(p):
        return g(p).unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)

    return (
        g(block.scale_shift_table),
        torch.cat([halves(a.to_q.weight), halves(a.to_k.weight), g(a.to_v.weight)]),
        torch.cat([halves(a.to_q.bias), halves(a.to_k.bias), g(a.to_v.bias)]),
        halves(a.norm_q.weight), halves(a.norm_k.weight), g(a.to_out[0].weight), g(a.to_out[0].bias),
        g(block.norm2.weight), g(block.norm2.bias), g(c.to_q.weight), g(c.to_q.bias),
        torch.cat([g(c.to_k.weight), g(c.to_v.weight)]), torch.cat([g(c.to_k.bias), g(c.to_v.bias)]),
        g(c.norm_q.weight), g(c.norm_k.weight), g(c.to_out[0].weight), g(c.to_out[0].bias),
        g(f[0].proj.weight), g(f[0].proj.bias), g(f[2].weight), g(f[2].bias),
    )


def forward(model, working, x, timestep, text, tap=None, compiled=True):
    """x [B, C, f, h, w], timestep [B] in 0..1000, text as `encode_text` gives it -> velocity [B, z, f, h, w].

    With `tap`, also the tokens [B, L, D] behind that block.
    """
    text_BTD, text_bias_BT = text

    def g(p):
        return working.of[id(p)]

    config, embed = model.config, model.condition_embedder
    heads, eps = config.num_attention_heads, config.eps
    pt, ph, pw = config.patch_size
    b, c, f, h, w = x.shape
    cos, sin = model.rope(x)
    cos, sin = cos[..., 0::2].float().contiguous(), sin[..., 1::2].float().contiguous()
    tokens = x.to(text_BTD.dtype).view(b, c, f // pt, pt, h // ph, ph, w // pw, pw).permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)
    tokens = tokens.flatten(1, 3)
    y = F.linear(tokens, g(model.patch_embedding.weight).flatten(1), g(model.patch_embedding.bias))
    time = embed.timesteps_proj(timestep).to(text_BTD.dtype)
    te = embed.time_embedder
    time = F.linear(F.silu(F.linear(time, g(te.linear_1.weight), g(te.linear_1.bias))),
                    g(te.linear_2.weight), g(te.linear_2.bias))
    temb = F.linear(F.silu(time), g(embed.time_proj.weight), g(embed.time_proj.bias)).unflatten(1, (6, -1)).float()
    tx = embed.text_embedder
    text = F.gelu(F.linear(text_BTD, g(tx.linear_1.weight), g(tx.linear_1.bias)), approximate="tanh")
    text = F.linear(text, g(tx.linear_2.weight), g(tx.linear_2.bias))
    run = _compiled_block if compiled else _block
    tapped = None
    for n, block in enumerate(model.blocks):
        y = run(y, text, text_bias_BT, temb, cos, sin, heads, eps, _block_weights(block, g, heads))
        tapped = y if n == tap else tapped
    shift, scale = (g(model.scale_shift_table).float() + time.float()[:, None]).chunk(2, 1)
    y = (_layer_norm(y, eps) * (1 + scale) + shift).to(y.dtype)
    y = F.linear(y, g(model.proj_out.weight), g(model.proj_out.bias))
    y = y.view(b, f // pt, h // ph, w // pw, pt, ph, pw, -1).permute(0, 7, 1, 4, 2, 5, 3, 6)
    y = y.reshape(b, -1, f, h, w).float()
    return y if tap is None else (y, tapped)


def padding_bias(lengths, kept, total):
    """[B, kept]: 0 at real tokens; at zero tokens what makes `kept - length` of them weigh as `total - length`."""
    padding = torch.log((total - lengths.float()) / (kept - lengths.float()))
    is_padding = torch.arange(kept, device=lengths.device)[None] >= lengths[:, None]
    return torch.where(is_padding, padding[:, None], 0.0)


def encode_text(encoder, working, ids, lengths, total):
    """Token ids [B, n] with real lengths [B] -> tokens [B, T, D], zero after the real ones, and `padding_bias`.

    The model attends to `total` tokens, most of them zero and so all alike. T is less; the bias makes up for
    those left out.
    """
    mask = (torch.arange(ids.shape[1], device=ids.device)[None] < lengths[:, None]).to(torch.long)
    names = {n: working.of[id(p)] for n, p in encoder.named_parameters()}
    out = torch.func.functional_call(encoder, names, (ids, mask), tie_weights=True).last_hidden_state
    out = out * mask[..., None].to(out.dtype)
    kept = min(total, (ids.shape[1] // 32 + 1) * 32)  # few lengths: each is compiled for itself
    return F.pad(out, (0, 0, 0, kept - out.shape[1])), padding_bias(lengths, kept, total)

