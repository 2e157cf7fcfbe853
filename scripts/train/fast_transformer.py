"""WanTransformer3DModel's forward for training: the same weights and mathematics, fused and compiled.

B batch, L latent tokens, T text tokens, D width, H heads. Weights live in f32 inside the diffusers module; each step
works on bf16 copies (`Working`), whose gradients go back to the module. The blocks share one compiled function.
"""

import torch
import torch.nn.functional as F

torch._dynamo.config.cache_size_limit = 64


class Working:
    """A bf16 copy of every f32 parameter of `modules`, the leaf of the graph."""

    def __init__(self, modules):
        self.masters = [p for m in modules for p in m.parameters()]
        self.copies = [torch.empty_like(p, dtype=torch.bfloat16).requires_grad_() for p in self.masters]
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
    pairs = x_BLHK.unflatten(-1, (-1, 2))
    a, b = pairs[..., 0].float(), pairs[..., 1].float()
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2).to(x_BLHK.dtype)


def _attend(q_BLHK, k_BTHK, v_BTHK):
    q, k, v = (t.transpose(1, 2) for t in (q_BLHK, k_BTHK, v_BTHK))
    # Written out: at a few hundred tokens the CPU's flash backward takes 2.5 times as long as this.
    weights = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, -1)
    return (weights @ v).transpose(1, 2).flatten(2)


def _block(x, text, temb, cos, sin, heads, eps, w):
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
    x = x + F.linear(_attend(q, k, v.unflatten(2, (heads, -1))), co_w, co_b)
    h = (_layer_norm(x, eps) * (1 + c_scale) + c_shift).to(x.dtype)
    h = F.linear(F.gelu(F.linear(h, up_w, up_b), approximate="tanh"), dn_w, dn_b)
    return (x.float() + h.float() * c_gate).to(x.dtype)


_compiled_block = torch.compile(_block, dynamic=False)


def _block_weights(block, g):
    a, c, f = block.attn1, block.attn2, block.ffn.net
    return (
        g(block.scale_shift_table),
        torch.cat([g(a.to_q.weight), g(a.to_k.weight), g(a.to_v.weight)]),
        torch.cat([g(a.to_q.bias), g(a.to_k.bias), g(a.to_v.bias)]),
        g(a.norm_q.weight), g(a.norm_k.weight), g(a.to_out[0].weight), g(a.to_out[0].bias),
        g(block.norm2.weight), g(block.norm2.bias), g(c.to_q.weight), g(c.to_q.bias),
        torch.cat([g(c.to_k.weight), g(c.to_v.weight)]), torch.cat([g(c.to_k.bias), g(c.to_v.bias)]),
        g(c.norm_q.weight), g(c.norm_k.weight), g(c.to_out[0].weight), g(c.to_out[0].bias),
        g(f[0].proj.weight), g(f[0].proj.bias), g(f[2].weight), g(f[2].bias),
    )


def forward(model, working, x, timestep, text_BTD, compiled=True):
    """x [B, C, f, h, w], timestep [B] in 0..1000, text zero-padded [B, T, text_dim] -> velocity [B, z, f, h, w]."""

    def g(p):
        return working.of[id(p)]

    config, embed = model.config, model.condition_embedder
    heads, eps = config.num_attention_heads, config.eps
    pt, ph, pw = config.patch_size
    b, c, f, h, w = x.shape
    cos, sin = model.rope(x)
    cos, sin = cos[..., 0::2].float(), sin[..., 1::2].float()
    tokens = x.bfloat16().view(b, c, f // pt, pt, h // ph, ph, w // pw, pw).permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)
    tokens = tokens.flatten(1, 3)
    y = F.linear(tokens, g(model.patch_embedding.weight).flatten(1), g(model.patch_embedding.bias))
    time = embed.timesteps_proj(timestep).bfloat16()
    te = embed.time_embedder
    time = F.linear(F.silu(F.linear(time, g(te.linear_1.weight), g(te.linear_1.bias))),
                    g(te.linear_2.weight), g(te.linear_2.bias))
    temb = F.linear(F.silu(time), g(embed.time_proj.weight), g(embed.time_proj.bias)).unflatten(1, (6, -1)).float()
    tx = embed.text_embedder
    text = F.gelu(F.linear(text_BTD, g(tx.linear_1.weight), g(tx.linear_1.bias)), approximate="tanh")
    text = F.linear(text, g(tx.linear_2.weight), g(tx.linear_2.bias))
    run = _compiled_block if compiled else _block
    for block in model.blocks:
        y = run(y, text, temb, cos, sin, heads, eps, _block_weights(block, g))
    shift, scale = (g(model.scale_shift_table).float() + time.float()[:, None]).chunk(2, 1)
    y = (_layer_norm(y, eps) * (1 + scale) + shift).to(y.dtype)
    y = F.linear(y, g(model.proj_out.weight), g(model.proj_out.bias))
    y = y.view(b, f // pt, h // ph, w // pw, pt, ph, pw, -1).permute(0, 7, 1, 4, 2, 5, 3, 6)
    return y.reshape(b, -1, f, h, w).float()


def encode_text(encoder, working, ids, lengths, total):
    """Token ids [B, n] with real lengths [B] -> [B, total, D], zero after the real tokens."""
    mask = (torch.arange(ids.shape[1], device=ids.device)[None] < lengths[:, None]).to(torch.long)
    names = {n: working.of[id(p)] for n, p in encoder.named_parameters()}
    out = torch.func.functional_call(encoder, names, (ids, mask), tie_weights=True).last_hidden_state
    out = out * mask[..., None].to(out.dtype)
    return F.pad(out, (0, 0, 0, total - out.shape[1]))

