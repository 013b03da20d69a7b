"""Every option once, documented once.

The help of the command comes from the docstrings here, and the run directory's ``config.toml`` from the fields. An
invalid value is refused where the dataclass is made, so later code need not check it again. Which data and which tasks
read an option is metadata of its field (:class:`Applies`); the help and the refusals both follow from it.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from math import inf, sqrt
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import tomli_w
from cyclopts import Parameter

from elman.errors import ConfigError
from elman.tables import build, check_names, check_tables, read_toml

MAX_LENGTH_MULTIPLE = 100_000

MAX_THREADS = 1_024
"""The limit for any machine, so that a run from a larger machine can be read. Training checks this machine's limit."""

MOST_DRIFT = 0.96
"""The highest β₁ / √β₂ at which ``RowWiseAdam`` reaches dense Adam's weights; above it, ε changes a long drift."""

LENGTH_FACTORS = (1, 2, 4, 10, 100)
"""Lengths of the strings of ``elman generalize``, as multiples of the longest training string."""

FORCED_PREFIXES = 2_000_000
"""Limit on the prefixes that ``elman generalize`` reads for forced steps; it reaches n = 1,413 in aⁿbⁿ."""

FORMAT = 1
"""The version of the run directory that this code writes and reads."""

Level = Literal["word", "char"]
"""What a token is."""
ModelName = Literal["mlp", "elman", "rnn", "gru", "lstm"]
Pooling = Literal["max", "mean", "last"]
Precision = Literal["float32", "bf16"]
Schedule = Literal["constant", "linear", "cosine"]
Stack = Literal["deep", "sum"]
KeptEpoch = Literal["best", "last"]
Task = Literal["classification", "language-model", "pretraining"]
HeldOut = Literal["films"]
Accelerator = Literal["auto", "cpu", "cuda", "mps"]
SplitName = Literal["train", "val", "test", "unlabelled"]
DataKind = Literal["IMDb", "generated reviews", "formal languages"]

TRAINED: dict[Task, str] = {
    "classification": "classifiers",
    "language-model": "language models",
    "pretraining": "pretraining",
}
"""What each task trains, in the plural."""


@dataclass(frozen=True)
class Applies:
    """State which data and which tasks read an option. As metadata of a field it limits that field."""

    data: tuple[DataKind, ...] = get_args(DataKind)
    tasks: tuple[Task, ...] = get_args(Task)

    def __str__(self) -> str:
        """Return what the option is for, such as ``formal languages``, or nothing if it is for everything."""
        data = "" if self.data == get_args(DataKind) else " and ".join(self.data)
        tasks = "" if self.tasks == get_args(Task) else " and ".join(TRAINED[task] for task in self.tasks)
        return " with ".join(filter(None, [tasks, data]))


FOR_IMDB = Applies(data=("IMDb",))
FOR_REVIEWS = Applies(data=("IMDb", "generated reviews"))
FOR_GENERATED_REVIEWS = Applies(data=("generated reviews",))
FOR_FORMAL_LANGUAGES = Applies(data=("formal languages",))
FOR_CLASSIFIERS = Applies(tasks=("classification",))
FOR_LANGUAGE_MODELS = Applies(tasks=("language-model",))


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which data to read."""

    name: Annotated[str, Parameter(parse=False)] = "imdb"
    """The data set: imdb, synth-reviews, negation, a formal language such as brackets, or a language's .toml file."""
    task: Task = "classification"
    """classification: predict the class of a text. language-model: predict each token from those before it.
    pretraining: only the training that --pretrain-epochs does first."""
    imdb: Annotated[str | None, FOR_IMDB] = None
    """Path of IMDb: the archive, its unpacked folder, or the course's pickle. The default is the environment variable
    ELMAN_IMDB, then the cache, then a download."""
    hold_out: Annotated[HeldOut | None, FOR_IMDB] = None
    """Hold out whole films for validation, so that no validation review is about a film in training. The test set is
    like that too, except for one film. Without this option, reviews are drawn one by one, as in the course, and nearly
    all of their films are also in training."""
    level: Annotated[Level, FOR_IMDB] = "word"
    """Whether a token is a word or a character."""
    vocab_size: Annotated[int | None, FOR_REVIEWS] = None
    """Keep this many of the most frequent tokens, including the four special ones; read all others as .unk."""
    max_length: Annotated[int | None, FOR_REVIEWS] = None
    """Read only this many tokens from the start of each text. A shortened text has no .end token."""
    synthetic_size: Annotated[int, FOR_GENERATED_REVIEWS] = 4_000
    """Number of training reviews; validation and test have a quarter as many each."""
    synthetic_sentences: Annotated[int, FOR_GENERATED_REVIEWS] = 1
    """Sentences per review. One of them carries the label; the others are neutral."""
    synthetic_noise: Annotated[float, FOR_GENERATED_REVIEWS] = 0.0
    """Share of labels that are flipped."""

    strings: Annotated[int, FOR_FORMAL_LANGUAGES] = 50_000
    """Number of strings to train on, drawn as in the course."""
    held_out_strings: Annotated[int, FOR_FORMAL_LANGUAGES] = 20_000
    """Number of strings for validation, drawn with another seed."""
    folds: Annotated[int | None, FOR_FORMAL_LANGUAGES] = None
    """Validate on every n-th training string and train on the others, instead of drawing strings for validation."""
    fold: Annotated[int, FOR_FORMAL_LANGUAGES] = 0
    """Which of the --folds to validate on; the first is 0."""
    data_seed: Annotated[int, FOR_FORMAL_LANGUAGES] = 0
    """Seed of the strings."""
    max_symbols: Annotated[int | None, FOR_FORMAL_LANGUAGES] = None
    """Draw only strings of at most this many symbols."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "max_length", "synthetic_size", "synthetic_sentences", "strings", "held_out_strings")
        _at_least(self, 0, "data_seed", "max_symbols")
        _at_least(self, 5, "vocab_size")
        _fraction(self, "synthetic_noise")
        if self.folds is None and self.fold != 0:
            raise ConfigError(f"--fold {self.fold} needs --folds.", "Add, for instance, --folds 5.")
        if self.folds is not None and not 2 <= self.folds <= self.strings:
            raise ConfigError(
                f"--folds {self.folds:,} is impossible with {self.strings:,} strings.",
                "Use at least 2, and at most the number of strings.",
            )
        if not 0 <= self.fold < (self.folds or 1):
            raise ConfigError(f"--fold {self.fold} does not exist.", f"Use 0 to {(self.folds or 1) - 1}.")
        if self.folds is not None and self.held_out_strings != DataConfig.held_out_strings:
            raise ConfigError(
                "--held-out-strings has no effect with --folds, which validates on training strings.",
                "Leave out one of the two.",
            )


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How texts are grouped into batches."""

    tokens_per_batch: int = 10_000
    """Tokens in a batch, padding included; with --bptt, in one chunk of a batch."""
    batch_size: int | None = None
    """Texts in a batch, instead of a number of tokens."""
    length_noise: float = 0.02
    """Sort texts by length × (1 ± noise), so that batches differ from epoch to epoch."""
    shuffle: bool = True
    """Shuffle the batches. Without this, every epoch goes from short to long texts."""
    length_multiple: int = 16
    """Round the width of a batch up to a multiple of this number. Fewer different shapes let the hardware reuse its
    prepared kernels."""
    curriculum_epochs: int = 0
    """Train on short texts first: in epoch e of the first n, on the shortest e/(n+1) of the texts; later on all."""
    packed: Annotated[bool, FOR_LANGUAGE_MODELS] = False
    """Put texts of any length in a batch, and skip the padding with torch's PackedSequence."""
    bptt: Annotated[int | None, FOR_LANGUAGE_MODELS] = None
    """Truncated back-propagation through time: cut each batch into pieces of this many time steps, and update the
    weights after each piece. The next piece starts from its hidden state, but no gradient flows back into it."""
    mask_padding: Annotated[bool, FOR_LANGUAGE_MODELS] = True
    """Leave padding out of the loss. Without this, the model also has to predict .pad after .end."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "tokens_per_batch", "batch_size", "length_multiple", "bptt")
        _at_least(self, 0, "curriculum_epochs")
        _at_most(self, MAX_LENGTH_MULTIPLE, "length_multiple")
        if self.packed and self.bptt is not None:
            raise ConfigError("--packed and --bptt exclude each other: a packed batch is read whole.", _LEAVE_ONE_OUT)
        if self.packed and not self.shuffle:
            raise ConfigError(
                "--packed and --no-shuffle exclude each other: packed texts are unsorted.", _LEAVE_ONE_OUT
            )
        if self.bptt is not None and not self.mask_padding:
            raise ConfigError("--bptt and --no-mask-padding exclude each other: --bptt skips padding.", _LEAVE_ONE_OUT)
        if self.packed and not self.mask_padding:
            raise ConfigError(
                "--packed and --no-mask-padding exclude each other: a packed batch has no padding.", _LEAVE_ONE_OUT
            )
        _fraction(self, "length_noise")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network.

    A classifier: embedding → layer → ReLU → pooling over time → linear. A language model has no ReLU and no pooling.
    """

    layer: Annotated[ModelName, Parameter(name=["--model", "-m"])] = "lstm"
    """The layer after the embedding. mlp reads each token alone; elman is the course's recurrent network; rnn, gru and
    lstm are those of torch."""
    embedding_size: int = 300
    """Size of the vector of a token."""
    embedding_scale: float = 0.1
    """Standard deviation of the initial embedding; torch's own default is 1."""
    hidden_size: int = 300
    """Size of the layer's output at each time step (in each direction)."""
    num_layers: int = 1
    """Number of layers; each reads the outputs of the layer below."""
    stack: Annotated[Stack, FOR_LANGUAGE_MODELS] = "deep"
    """With several layers, pass on the outputs of the last layer (deep), or the sum of all layers' outputs (sum)."""
    tied: Annotated[bool, FOR_LANGUAGE_MODELS] = False
    """Use the embedding also as the weights of the output layer; --embedding-size and --hidden-size must be equal."""
    bidirectional: Annotated[bool, Applies(tasks=("classification", "pretraining"))] = False
    """Read each text in both directions. A language model cannot: it would see the token that it has to predict."""
    pooling: Annotated[Pooling, FOR_CLASSIFIERS] = "max"
    """How the outputs of all time steps become one vector: their maximum, their mean, or the last output of each
    direction."""
    word_dropout: Annotated[float, Applies(tasks=("classification", "language-model"))] = 0.0
    """Share of tokens that training replaces by .unk."""
    embedding_dropout: float = 0.3
    """Share of the embedding that training sets to zero. Equal tokens in a batch lose the same components."""
    top_dropout: float = 0.3
    """Share of the output layer's input that training sets to zero."""
    fast: bool = True
    """Use the fast forms of the layers. Without this, train the plain reference: the same numbers (dropout
    draws others), slower."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "embedding_size", "hidden_size", "num_layers")
        if not 0 < self.embedding_scale < inf:
            raise ConfigError(
                f"--embedding-scale must be positive and finite, not {self.embedding_scale}.", "Use, for instance, 0.1."
            )
        _fraction(self, "word_dropout", "embedding_dropout", "top_dropout")
        if self.layer == "mlp" and self.bidirectional:
            raise ConfigError("--model mlp cannot be bidirectional: it reads each token alone.", _LEAVE_ONE_OUT)
        if self.tied and self.embedding_size != self.hidden_size:
            raise ConfigError(
                f"--tied needs equal sizes, not --embedding-size {self.embedding_size} and --hidden-size"
                f" {self.hidden_size}.",
                "Give both options the same value.",
            )


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """How the weights are updated."""

    learning_rate: Annotated[float, Parameter(name=["--learning-rate", "--lr"])] = 2e-3
    """The highest learning rate of the schedule."""
    schedule: Schedule = "linear"
    """How the learning rate falls to zero: linear, or along half a cosine. constant: it does not fall."""
    warmup_epochs: float = 0.0
    """First raise the learning rate from zero, over this many epochs."""
    beta1: float = 0.9
    """Adam's β₁, the decay of the mean of the gradients."""
    beta2: float = 0.98
    """Adam's β₂, the decay of the mean of the squared gradients."""
    weight_decay: float = 0.0
    """AdamW's weight decay, for all weights except the embedding."""
    grad_clip_norm: float = 1.0
    """Scale the gradient down to this norm if its norm is higher. 0 turns clipping off."""
    row_wise_embedding: bool = True
    """Update only the rows of the embedding that the batch uses; they get the values that dense Adam gives them.
    Without this, every step updates the whole embedding."""
    ema_decay: float = 0.0
    """Evaluate and save a moving average of the weights with this decay per step (less in the first steps). 0 turns
    averaging off."""

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate <= 1e6:
            raise ConfigError(
                f"--learning-rate must be above 0 and at most 1e6, not {self.learning_rate:g}.",
                "Use, for instance, 0.001.",
            )
        _at_least(self, 0, "warmup_epochs", "weight_decay", "grad_clip_norm")
        _fraction(self, "beta1", "beta2", "ema_decay")
        if self.beta2 == 0:
            raise ConfigError("--beta2 must be above 0, because Adam divides by that mean.", "Use, for instance, 0.98.")
        if self.row_wise_embedding and self.beta1 > MOST_DRIFT * sqrt(self.beta2):
            raise ConfigError(
                f"--beta1 {self.beta1} is too high for --beta2 {self.beta2}: embedding rows that a batch does not use"
                " would drift too far.",
                "Use --no-row-wise-embedding, a lower --beta1 or a higher --beta2.",
            )


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long to train, and on which device."""

    epochs: int = 3
    """Number of passes through the training data."""
    pretrain_epochs: Annotated[int | None, FOR_CLASSIFIERS] = None
    """Before the first epoch, train this many epochs on the unlabeled texts (on the training texts if there are none)
    to predict each word from the others. This is done once for all seeds and kept in the cache."""
    patience: int | None = None
    """Stop after this many epochs without a better result on validation."""
    keep: KeptEpoch = "best"
    """Keep the weights of the epoch with the best result on validation, or those of the last epoch."""
    seed: int = 0
    """Seed of all random choices in training. It does not change the data."""
    accelerator: Annotated[Accelerator, Parameter(name=["--accelerator", "--device"])] = "cpu"
    """The device to train on: cpu, cuda (an NVIDIA GPU), mps (an Apple GPU), or auto (a GPU if there is one)."""
    precision: Precision = "float32"
    """Precision of the matrix products. The weights stay float32."""
    threads: int | None = None
    """CPU threads, at most four per core. The default is one per core for mlp and lstm from a hidden size of 64, and
    for elman, rnn and gru from a hidden size of 512; else 1. The same seed and number of threads give exactly the same
    weights."""
    checkpoint_minutes: float = 10.0
    """Minutes between checkpoints within an epoch. One is also saved at the end of each epoch."""
    log_every: int = 10
    """Write the figures of every n-th training step to metrics.jsonl."""
    samples: Annotated[int, FOR_LANGUAGE_MODELS] = 1_000
    """Number of strings to sample after every epoch; ten are printed."""
    max_new_tokens: Annotated[int, FOR_LANGUAGE_MODELS] = 2_000
    """Cut a sampled string off after this many tokens."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "epochs", "pretrain_epochs", "patience", "threads", "log_every", "samples", "max_new_tokens")
        _at_most(self, MAX_THREADS, "threads")
        _at_least(self, 0, "seed", "checkpoint_minutes")
        if self.keep == "last" and self.patience is not None:
            raise ConfigError(
                "--patience and --keep last exclude each other: one needs validation, the other ignores it.",
                _LEAVE_ONE_OUT,
            )


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How strings are sampled from a language model."""

    temperature: float = 1.0
    """1 samples from the model's own distribution; lower values sharpen it, to p^(1/temperature); 0 always takes the
    most probable token."""
    top_k: int | None = None
    """Choose only among this many of the most probable tokens."""
    max_new_tokens: int = 2_000
    """Cut a string off if it has not ended this many tokens after the prompt."""
    unknown: Annotated[bool, Parameter(negative="")] = False
    """Allow .unk among the sampled tokens. Without this, the other tokens share its probability in proportion."""
    seed: int = 0
    """Seed of the samples. The same model, options and seed give the same strings."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "top_k", "max_new_tokens")
        _at_least(self, 0, "seed")
        if not 0 <= self.temperature < inf:
            raise ConfigError(
                f"--temperature must be 0 or more, not {self.temperature}.", "Use 1 for the model's own distribution."
            )


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that determines a training run."""

    data: DataConfig = field(default_factory=DataConfig)
    batches: BatchConfig = field(default_factory=BatchConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        """Refuse combinations in which an option would have no effect, or which cannot be trained."""
        if self.optim.warmup_epochs >= self.loop.epochs:
            raise ConfigError(
                f"--warmup-epochs {self.optim.warmup_epochs} must be below --epochs {self.loop.epochs}.",
                "Use a lower --warmup-epochs.",
            )
        task, model = self.data.task, self.model
        if task == "language-model" and model.layer == "mlp":
            raise ConfigError(
                "An mlp cannot be a language model, because it does not read earlier tokens.", "Use another --model."
            )
        for section in fields(self):
            self._refuse_other_tasks(getattr(self, section.name))
        if task != "pretraining" and self.loop.pretrain_epochs is None:
            return
        if model.layer == "mlp":
            raise ConfigError(
                "An mlp cannot be pretrained, because it does not read the other tokens.", "Use another --model."
            )
        if model.bidirectional and model.num_layers > 1:
            raise ConfigError(
                "Several bidirectional layers cannot be pretrained: the second sees the token that it has to predict.",
                "Use --num-layers 1 or leave out --bidirectional.",
            )

    def _refuse_other_tasks(self, section: Any) -> None:
        kind: Any = type(section)
        for name, applies in scopes(kind).items():
            value = getattr(section, name)
            if self.data.task not in applies.tasks and value != getattr(kind, name):
                raise ConfigError(
                    f"{option_name(kind, name, value)} applies only to {applies}, and the task here is"
                    f" {self.data.task}.",
                    f"Leave it out or use --task {applies.tasks[0]}.",
                )

    def to_toml(self) -> str:
        """Return the text of ``config.toml``: every field that is not None, in sections."""
        sections = {
            name: {key: value for key, value in section.items() if value is not None}
            for name, section in asdict(self).items()
        }
        return tomli_w.dumps({"format": FORMAT, **sections})

    @classmethod
    def from_tables(cls, tables: dict[str, Any], where: str) -> "RunConfig":
        """Build the configuration from sections of plain values; a field that is not named has its default.

        Parameters
        ----------
        tables
            Section → field → value, as in a TOML file.
        where
            The name of their source in an error.

        Raises
        ------
        ConfigError
            A section or a field is unknown, or a value is invalid.
        """
        sections = {item.name: item.default_factory for item in fields(cls)}
        check_names(tables, sections, "section", where)
        return cls(**{name: build(sections[name], table, f"{where} [{name}]") for name, table in tables.items()})

    def with_tables(self, tables: dict[str, Any], where: str) -> "RunConfig":
        """Return this configuration with the named fields changed."""
        mine = asdict(self)
        check_tables(tables, where)
        check_names(tables, mine, "section", where)
        return self.from_tables({name: {**mine[name], **tables.get(name, {})} for name in mine}, where)


def with_seed(config: RunConfig, seed: int) -> RunConfig:
    """Return the same configuration with another seed."""
    return replace(config, loop=replace(config.loop, seed=seed))


def read_config(path: Path) -> RunConfig:
    """Read a configuration that :meth:`RunConfig.to_toml` wrote.

    Raises
    ------
    ConfigError
        The file is not a configuration, or is of another version.
    """
    tables = read_toml(path)
    version = tables.pop("format", None)
    if version != FORMAT:
        raise ConfigError(
            f"{path} has format {version}; this version of elman reads format {FORMAT}.",
            "Use the version of elman that wrote it, or train again.",
        )
    config = RunConfig.from_tables(tables, str(path))
    if "name" not in tables.get("data", {}):
        raise ConfigError(f"{path} does not name a data set.", 'Add a line to its [data] section: name = "imdb".')
    return config


@cache
def scopes(section: type) -> dict[str, Applies]:
    """Return for each field of a section which data and tasks read it."""
    return {
        name: next((extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Applies)), Applies())
        for name, hint in get_type_hints(section, include_extras=True).items()
    }


def option_name(section: type, name: str, value: Any = None) -> str:
    """Return the option of a field as it is written on the command line; with the value False, its --no- form."""
    extras = getattr(get_type_hints(section, include_extras=True)[name], "__metadata__", ())
    names = [name for extra in extras if isinstance(extra, Parameter) for name in extra.name or ()]
    option: str = names[0] if names else f"--{name.replace('_', '-')}"
    return option.replace("--", "--no-", 1) if value is False else option


_LEAVE_ONE_OUT = "Leave out one of the two."


def _at_least(config: Any, least: int, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if value is not None and not least <= value < inf:
            raise ConfigError(
                f"{option_name(type(config), name)} must be {least} or more, not {value}.",
                f"Use {least} or a larger number.",
            )


def _at_most(config: Any, most: int, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if value is not None and value > most:
            raise ConfigError(
                f"{option_name(type(config), name)} must be {most:,} or less, not {value:,}.",
                f"Use {most:,} or a smaller number.",
            )


def _fraction(config: Any, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not 0 <= value < 1:
            raise ConfigError(
                f"{option_name(type(config), name)} must be at least 0 and below 1, not {value}.",
                "Use a value in that range, for instance 0.1.",
            )
