"""How much memory a training step needs, said before the run and when it runs out; and what was used.

Units: bytes. D model width, P positions of the largest forward pass (rows times the longest, padding included), S
supervised positions of a stream, V classes of its head.

What a layer keeps for its backward pass was counted with torch.autograd.graph.saved_tensors_hooks on the blocks as
they are (GPT-2 blocks of transformers, fused attention, PEFT's LoRA), and is counted again by the tests. The frame is
that of Korthikanti et al., 2022 ("Reducing activation recomputation"), without attention scores, which fused attention
never keeps.
"""

import resource
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from stages.core.model.settings import GptSettings
from stages.core.training.objective import CHUNK_POSITIONS

GIB = 2**30
FLOAT = 4
ADAM_BYTES = 8  # two moments in float32
INPUT_WIDTHS = {"attn.c_attn": 1, "attn.c_proj": 1, "mlp.c_fc": 1, "mlp.c_proj": 4}  # times D
BLOCK_WEIGHTS = 12  # times D squared: 3 + 1 + 4 + 4


@dataclass(frozen=True)
class Adapters:
    """LoRA on some modules.

    Attributes:
        modules: kind of module (a key of INPUT_WIDTHS) -> in how many layers it has an adapter.
    """

    rank: int
    dropout: float
    modules: Mapping[str, int]


@dataclass(frozen=True)
class Training:
    """What of a training decides its memory.

    Attributes:
        settings: of the model, new pieces included.
        held, trained: parameters of the model in memory (copies of the text tables too), and those with a gradient.
        adapters: None where the whole model is trained.
        dropout: inside the blocks.
        dtype: of matrix products; parameters, gradients and optimiser state are float32.
        checkpointing: whether activations are computed twice instead of kept.
        on_gpu: whether dropout keeps a byte an element, as on a GPU, or a number, as on a CPU.
        accumulates: whether gradients of a micro-batch stay while the next is computed (or, DDP, lie in buckets).
        shards: processes that share weights, gradients and optimiser state (FSDP); 1 for whole copies.
        teacher: parameters of the model that says what replay rows should be; whole on every process.
    """

    settings: GptSettings
    held: int
    trained: int
    adapters: Adapters | None
    dropout: float
    dtype: torch.dtype
    checkpointing: bool
    on_gpu: bool
    accumulates: bool = False
    shards: int = 1
    teacher: int = 0

    @property
    def unit(self) -> int:
        """Bytes of a number in a matrix product."""
        return 2 if self.dtype == torch.bfloat16 else FLOAT

    @property
    def casts(self) -> bool:
        return self.unit != FLOAT


@dataclass(frozen=True)
class Pass:
    """The largest forward pass.

    Attributes:
        positions: with padding.
        text_targets, code_targets: supervised positions of each stream.
        taught_targets: those of the codes that a teacher looks at.
    """

    positions: int
    text_targets: int
    code_targets: int
    taught_targets: int = 0


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes at the peak of a step.

    Attributes:
        weights: parameters, and what of them one process gathers under FSDP.
        optimiser: Adam's two moments.
        gradients: those that are held at the peak.
        activations: kept from the forward pass for the backward pass, copies of weights in 16 bits included.
        working: largest temporaries: of one layer's backward pass or of a chunk of logits.
    """

    weights: float
    optimiser: float
    gradients: float
    activations: float
    working: float

    @property
    def total(self) -> float:
        return sum(vars(self).values())

    def __str__(self) -> str:
        parts = [f"{name} {value / GIB:.2f}" for name, value in vars(self).items()]
        return f"{self.total / GIB:.2f} GiB ({', '.join(parts)})"


def estimate_memory(training: Training, largest: Pass) -> MemoryEstimate:
    """The largest of three moments of the backward pass: in the logits, in the last block, in the first block."""
    share = FLOAT / training.shards
    weights = training.held * share + training.teacher * FLOAT + _gathered(training)
    optimiser, gradients = training.trained * ADAM_BYTES / training.shards, training.trained * share
    layer, work = layer_activations(training, largest.positions), _layer_work(training, largest.positions)
    blocks = training.settings.layers * (_residual(training, largest.positions) if training.checkpointing else layer)
    kept = blocks + end_activations(training, largest) + cast_weights(training)
    earlier, heads = gradients * training.accumulates, _head_gradients(training)
    recomputed = layer - _residual(training, largest.positions) if training.checkpointing else 0.0
    moments = [
        MemoryEstimate(weights, optimiser, earlier + heads, kept + logits_kept(training, largest),
                       _loss_work(training, largest)),
        MemoryEstimate(weights, optimiser, earlier + heads, kept, work + recomputed),
        MemoryEstimate(weights, optimiser, gradients, layer, work + _table_gradient(training)),
    ]
    return max(moments, key=lambda moment: moment.total)


def layer_activations(training: Training, positions: int) -> float:
    """What one block keeps for its backward pass.

    Two residual streams (float32, the inputs of both norms); queries, keys, values and attention's output; the input of
    the activation function; each trained module's own input; statistics of norms and of attention; dropout's masks.
    """
    dim, unit = training.settings.model_dim, training.unit
    widths = 2 * FLOAT + 4 * unit + 4 * unit + _module_inputs(training)
    if training.dropout:
        widths += 2 * (1 if training.on_gpu else unit)
    statistics = 4 * FLOAT + FLOAT * training.settings.heads
    return positions * (dim * widths + statistics + _adapter_states(training))


def _module_inputs(training: Training) -> float:
    """Bytes, a position and unit of width, of the inputs that the modules keep for their weights' gradients.

    A frozen module keeps none; attention's output is kept by attention itself, unless PEFT casts or drops it first.
    """
    adapters, unit = training.adapters, training.unit
    if adapters is None:
        return unit * (sum(INPUT_WIDTHS.values()) - INPUT_WIDTHS["attn.c_proj"])
    kept = 0.0
    for kind, width, share in _adapted(training):
        if kind != "attn.c_proj" or training.casts or adapters.dropout:
            kept += share * width * unit
        if adapters.dropout:
            kept += share * width * (1 if training.on_gpu else FLOAT)
    return kept


def _adapter_states(training: Training) -> float:
    """Bytes a position of what stands between the two matrices of each adapter."""
    return sum(share * training.adapters.rank * training.unit for _, _, share in _adapted(training)
               ) if training.adapters else 0.0


def _adapted(training: Training) -> list[tuple[str, int, float]]:
    """Kind of module, its input's width in D, and the share of the layers where it has an adapter."""
    modules = training.adapters.modules if training.adapters else {}
    return [(kind, INPUT_WIDTHS[kind], count / training.settings.layers) for kind, count in modules.items()]


def _residual(training: Training, positions: int) -> float:
    """A block's input: all that a recomputed block keeps."""
    return positions * training.settings.model_dim * FLOAT


def end_activations(training: Training, largest: Pass) -> float:
    """What embeddings and last norms keep: the last block's result, states at supervised positions, normed ones.

    Normed states stay in float32 where their logits are computed again, else as the trained head multiplied them.
    """
    dim, unit = training.settings.model_dim, training.unit
    kept = largest.positions * (dim * FLOAT + 2 * FLOAT + 8)
    if training.dropout:
        kept += largest.positions * dim * (1 if training.on_gpu else FLOAT)
    for targets, _, head_trained in _streams(training, largest):
        kept += targets * dim * (FLOAT + (unit * head_trained if targets <= CHUNK_POSITIONS else FLOAT))
    return kept


def logits_kept(training: Training, largest: Pass) -> float:
    """Log-probabilities in float32 of each stream that fits one chunk; one of more chunks computes them again.

    Of taught codes the teacher's logits stay in any case, and of one chunk both models' log-probabilities.
    """
    taught = training.unit + (2 * FLOAT if largest.taught_targets <= CHUNK_POSITIONS else 0)
    return largest.taught_targets * training.settings.number_mel_codes * taught + sum(
        targets * classes * FLOAT for targets, classes, _ in _streams(training, largest) if targets <= CHUNK_POSITIONS)


def _streams(training: Training, largest: Pass) -> list[tuple[int, int, bool]]:
    """Supervised positions, classes, and whether the head is trained, of text and of codes."""
    settings = training.settings
    return [(largest.text_targets, settings.number_text_tokens + 1, True),
            (largest.code_targets, settings.number_mel_codes, training.adapters is None)]


def cast_weights(training: Training) -> float:
    """Copies in 16 bits that autocast makes of the matrices and that live from the forward to the backward pass.

    Recomputed blocks of frozen weights make them anew, one block at a time.
    """
    if not training.casts:
        return 0.0
    settings = training.settings
    heads = settings.model_dim * (settings.number_text_tokens + 1 + settings.number_mel_codes)
    dropped = training.checkpointing and training.adapters is not None
    blocks = BLOCK_WEIGHTS * settings.model_dim**2 * (1 if dropped else settings.layers)
    return training.unit * (heads + blocks)


def _layer_work(training: Training, positions: int) -> float:
    """Temporaries of a block's backward pass, or of its recomputation, largest at the second matrix of its MLP.

    Gradients of the residual stream and of that matrix's input; PEFT takes an adapter's input in float32, and drops
    from it in another copy.
    """
    widths = FLOAT + 4 * training.unit
    if training.adapters:
        widths += 4 * FLOAT * (2 if training.casts and training.adapters.dropout else 1)
    return positions * training.settings.model_dim * widths


def _loss_work(training: Training, largest: Pass) -> float:
    """Temporaries of the backward pass of a chunk of logits: in float32 and their gradients."""
    work = 0.0
    for targets, classes, _ in _streams(training, largest):
        copies = 2 if targets <= CHUNK_POSITIONS else 3
        work = max(work, copies * FLOAT * min(targets, CHUNK_POSITIONS) * classes)
    return work


def _head_gradients(training: Training) -> float:
    """Gradients of the trained heads, the first to appear; the larger one for a moment in 16 bits too."""
    sizes = [classes * training.settings.model_dim for _, classes, head_trained in
             _streams(training, Pass(0, 0, 0)) if head_trained]
    return FLOAT * sum(sizes) / training.shards + training.unit * max(sizes) * training.casts


def _table_gradient(training: Training) -> float:
    """A second gradient of the text table, before it is added to the one that is held."""
    settings = training.settings
    return FLOAT * settings.model_dim * settings.number_text_tokens * training.accumulates


def _gathered(training: Training) -> float:
    """What FSDP holds whole on each process: all that lies outside the blocks, and two blocks."""
    if training.shards == 1:
        return 0.0
    blocks = BLOCK_WEIGHTS * training.settings.model_dim**2
    outside = training.held - training.settings.layers * blocks
    return FLOAT * (outside + 2 * blocks)


def peak_memory_gib(device: torch.device) -> float:
    """Most memory held so far: on the device, or by this process where the device is the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch says that memory ran out, on a GPU or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
