"""The names of Wan's own code for the tensors of a transformer in diffusers' form, and such a transformer as one file under
them, for programs that read no diffusers directory. The tensors' bytes stay as they are."""

import json
import re
import shutil
import struct

OUTSIDE_BLOCKS = {
    "patch_embedding": "patch_embedding",
    "vace_patch_embedding": "vace_patch_embedding",
    "condition_embedder.time_embedder.linear_1": "time_embedding.0",
    "condition_embedder.time_embedder.linear_2": "time_embedding.2",
    "condition_embedder.time_proj": "time_projection.1",
    "condition_embedder.text_embedder.linear_1": "text_embedding.0",
    "condition_embedder.text_embedder.linear_2": "text_embedding.2",
    "condition_embedder.image_embedder.norm1": "img_emb.proj.0",
    "condition_embedder.image_embedder.ff.net.0.proj": "img_emb.proj.1",
    "condition_embedder.image_embedder.ff.net.2": "img_emb.proj.3",
    "condition_embedder.image_embedder.norm2": "img_emb.proj.4",
    "condition_embedder.image_embedder.pos_embed": "img_emb.emb_pos",
    "scale_shift_table": "head.modulation",
    "proj_out": "head.head",
}
ATTENTION = {"to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "o", "norm_q": "norm_q", "norm_k": "norm_k"}
OF_PICTURES = {"add_k_proj": "k_img", "add_v_proj": "v_img", "norm_added_k": "norm_k_img"}
# The original's norm1 and norm2 have no weights, its norm3 is the one before the cross-attention.
IN_BLOCK = {
    **{f"attn1.{theirs}": f"self_attn.{original}" for theirs, original in ATTENTION.items()},
    **{f"attn2.{theirs}": f"cross_attn.{original}" for theirs, original in {**ATTENTION, **OF_PICTURES}.items()},
    "norm2": "norm3",
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
    "proj_in": "before_proj",  # of VACE
    "proj_out": "after_proj",
    "scale_shift_table": "modulation",
}


def original_name(name):
    block, layer, kind = re.fullmatch(r"((?:vace_)?blocks\.\d+\.)?(.+?)(\.weight|\.bias)?", name).groups("")
    names = IN_BLOCK if block else OUTSIDE_BLOCKS
    if layer not in names:
        raise ValueError(f"{name}: no tensor of a transformer of Wan in diffusers' form")
    return block + names[layer] + kind


def read_header(file):
    """{name: {dtype, shape, data_offsets}}; the file stands at the data then."""
    (length,) = struct.unpack("<Q", file.read(8))
    header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header


def shards_of(folder):
    return sorted(folder.glob("*.safetensors"))


def write_original(folder, path):
    """The shards of the folder as one file. Each shard's data is copied whole, so that only names and offsets change."""
    header, size = {"__metadata__": {"format": "pt"}}, 0
    for shard in shards_of(folder):
        with open(shard, "rb") as file:
            for name, tensor in read_header(file).items():
                begin, end = tensor["data_offsets"]
                header[original_name(name)] = {**tensor, "data_offsets": [size + begin, size + end]}
            size += shard.stat().st_size - file.tell()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as out:
        out.write(struct.pack("<Q", len(text)))
        out.write(text)
        for shard in shards_of(folder):
            with open(shard, "rb") as file:
                read_header(file)
                shutil.copyfileobj(file, out, 1 << 24)
    part.replace(path)
