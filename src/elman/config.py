"""Every knob once, documented once.

The help of the command comes from the docstrings here, the run directory's ``config.toml`` from the fields. A value
that cannot be is refused where the dataclass is made, so nothing later has to ask again.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from math import inf, sqrt
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from cyclopts import Parameter

from elman.errors import ConfigError
from elman.tables import build, check_names, check_tables, read_toml

MOST_PADDED = 100_000
"""The widest multiple that a batch can be rounded up to."""

MOST_THREADS = 1_024
"""Of any machine: a run that a larger one made is still read. How many this one can use, the training asks."""

MOST_DRIFT = 0.96
"""The highest β₁ / √β₂ at which ``RowWiseAdam`` comes to dense Adam's weights: of a long drift ε is a part."""

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
Kept = Literal["best", "last"]
Task = Literal["classification", "language-model", "pretraining"]
HeldOut = Literal["films"]
Accelerator = Literal["auto", "cpu", "cuda", "mps"]
SplitName = Literal["train", "val", "test", "unlabelled"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is read."""

    name: Annotated[str, Parameter(parse=False)] = "imdb"
    """The data set: imdb, synth-reviews, negation, a formal language such as brackets, or a language's .toml file."""
    task: Task = "classification"
    """Say what a text is, or predict each of its tokens from those before it; pretraining is what --pretrain-epochs
    does, by itself."""
    imdb: str | None = None
    """Where IMDb lies: the archive, its unpacked folder, or the course's pickle. [environment: ELMAN_IMDB]"""
    hold_out: HeldOut | None = None
    """IMDb only: hold whole films out, so that no review of a film that is validated on is trained on; the test is like
    that, but for one film. Without it reviews are drawn one by one, as the course does, and nearly all of their films
    are trained on."""
    level: Level = "word"
    """One token a word, or one a character."""
    vocab_size: int | None = None
    """Keep this many ids, the most frequent (four specials included); the rest reads as .unk."""
    max_length: int | None = None
    """Read only this many tokens of each text, from its start. A text that was cut has no .end to be learnt."""
    synthetic_size: int = 4_000
    """synth-reviews and negation only: how many in the training split; validation and test have a quarter each."""
    synthetic_sentences: int = 1
    """synth-reviews and negation only: sentences a review; one carries the label, the others say nothing."""
    synthetic_noise: float = 0.0
    """synth-reviews and negation only: the share of labels that are flipped."""

    strings: int = 50_000
    """Languages only: strings to train on, drawn as the course draws them."""
    held_out_strings: int = 20_000
    """Languages only: strings for validation, drawn from another seed."""
    folds: int | None = None
    """Languages only: validate on every n-th of the strings and train on the rest, instead of drawing others."""
    fold: int = 0
    """Languages only: which one of the --folds validates; the first is 0."""
    data_seed: int = 0
    """Languages only: the seed of the strings."""
    max_symbols: int | None = None
    """Languages only: draw the strings on condition that they have at most this many symbols."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "max_length", "synthetic_size", "synthetic_sentences", "strings", "held_out_strings")
        _at_least(self, 0, "data_seed", "max_symbols")
        _at_least(self, 5, "vocab_size")
        _share(self, "synthetic_noise")
        if self.folds is None and self.fold != 0:
            raise ConfigError("--fold is one of the --folds, and there are none.", "Add, for instance, --folds 5.")
        if self.folds is not None and not 2 <= self.folds <= self.strings:
            raise ConfigError(
                f"{self.strings:,} strings have no {self.folds:,} folds.", "Give 2 or more, up to one each."
            )
        if not 0 <= self.fold < (self.folds or 1):
            raise ConfigError(f"There is no fold {self.fold} of {self.folds}.", "They are counted from 0.")
        if self.folds is not None and self.held_out_strings != DataConfig.held_out_strings:
            raise ConfigError("With --folds no other strings are held out.", "Leave out --held-out-strings.")


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How sequences become batches."""

    tokens_per_batch: int = 10_000
    """Tokens in a batch, padding included; with --bptt, in one stretch of a batch."""
    batch_size: int | None = None
    """Sequences in a batch, instead of the token budget."""
    length_noise: float = 0.02
    """Sort by length × (1 ± noise), so that batches differ from epoch to epoch."""
    shuffle: bool = True
    """Shuffle the batches; without this every epoch goes from short texts to long ones."""
    length_multiple: int = 16
    """Round a batch's width up to a multiple of this: fewer shapes, so that prepared kernels are used again."""
    curriculum_epochs: int = 0
    """Short first: in epoch e of the first n, read the shortest e/(n+1) of the texts; then all."""
    packed: bool = False
    """Language models only: batch texts of any length, and let torch's PackedSequence skip the padding."""
    bptt: int | None = None
    """Language models only: update after this many time steps of a batch, and carry the state on."""
    mask_padding: bool = True
    """Language models only: leave padding out of the loss; without this .pad after .end is to be predicted too."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "tokens_per_batch", "batch_size", "length_multiple", "bptt")
        _at_least(self, 0, "curriculum_epochs")
        _at_most(self, MOST_PADDED, "length_multiple")
        if self.packed and self.bptt is not None:
            raise ConfigError("A packed batch is read whole, so --packed and --bptt exclude each other.", "Drop one.")
        if self.packed and not self.shuffle:
            raise ConfigError("Packed batches are texts of any length, in no order.", "Leave out one of the two.")
        if self.bptt is not None and not self.mask_padding:
            raise ConfigError("--bptt skips what is padding alone.", "Leave out --bptt or --no-mask-padding.")
        if self.packed and not self.mask_padding:
            raise ConfigError("A packed batch has no padding to predict.", "Leave out --packed or --no-mask-padding.")
        _share(self, "length_noise")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network: embedding → layer → ReLU → pool over time → linear; a language model has no ReLU and no pool."""

    layer: Annotated[ModelName, Parameter(name="--model")] = "lstm"
    """The layer between embedding and pool."""
    embedding_size: int = 300
    """Numbers a token."""
    embedding_scale: float = 0.1
    """Standard deviation of the embedding's first values; torch's own is 1."""
    hidden_size: int = 300
    """Numbers a time step after the layer (each direction)."""
    num_layers: int = 1
    """Layers, one on top of another."""
    stack: Stack = "deep"
    """Language models only: hand on the last layer's outputs, or the sum of all layers'."""
    tied: bool = False
    """Language models only: use the embedding as the last layer's weights too; the sizes must agree."""
    bidirectional: bool = False
    """Read each text from its end too."""
    pooling: Pooling = "max"
    """How the time steps become one vector; last takes the state that has read all."""
    word_dropout: float = 0.0
    """Share of tokens that training reads as .unk."""
    embedding_dropout: float = 0.3
    """Share of each distinct word's embedding that training sets to zero, once a batch."""
    top_dropout: float = 0.3
    """Share of the last layer's input that training sets to zero."""
    fast: bool = True
    """Use the fast forms of the layers; --no-fast trains the plain reference, which computes the same, slower."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "embedding_size", "hidden_size", "num_layers")
        if not 0 < self.embedding_scale < inf:
            raise ConfigError(f"--embedding-scale must be positive and finite, not {self.embedding_scale}.", "Try 0.1.")
        _share(self, "word_dropout", "embedding_dropout", "top_dropout")
        if self.layer == "mlp" and self.bidirectional:
            raise ConfigError("An mlp reads no direction, so it cannot be bidirectional.", "Leave one of the two out.")
        if self.tied and self.embedding_size != self.hidden_size:
            raise ConfigError(
                f"Tied weights need sizes that agree, not {self.embedding_size} and {self.hidden_size}.",
                "Give --embedding-size and --hidden-size the same value.",
            )


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """How the weights move."""

    learning_rate: float = 2e-3
    """The highest learning rate of the schedule."""
    schedule: Schedule = "linear"
    """From the highest rate to zero in a line or half a cosine, or constant."""
    warmup_epochs: float = 0.0
    """Epochs over which the rate first rises from zero."""
    beta1: float = 0.9
    """Adam: decay of the mean of gradients."""
    beta2: float = 0.98
    """Adam: decay of the mean of squared gradients."""
    weight_decay: float = 0.0
    """AdamW's decay of all weights but the embedding."""
    grad_clip_norm: float = 1.0
    """Scale the gradient down to this norm; 0 leaves it as it is."""
    row_wise_embedding: bool = True
    """Move only the embedding rows that the batch reads, to where dense Adam has them; else all of them, every step."""
    ema_decay: float = 0.0
    """Evaluate and keep an average of the weights with this decay a step (less in the first); 0 keeps the weights."""

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate <= 1e6:
            raise ConfigError(
                f"--learning-rate must be above 0 and at most 1e6, not {self.learning_rate:g}.", "Try 0.001."
            )
        _at_least(self, 0, "warmup_epochs", "weight_decay", "grad_clip_norm")
        _share(self, "beta1", "beta2", "ema_decay")
        if self.beta2 == 0:
            raise ConfigError("--beta2 must be above 0: Adam divides by that mean.", "Try 0.98.")
        if self.row_wise_embedding and self.beta1 > MOST_DRIFT * sqrt(self.beta2):
            raise ConfigError(
                f"Rows that are not read drift too far with betas of {self.beta1} and {self.beta2} to be followed.",
                "Give --no-row-wise-embedding, or a higher --beta2.",
            )


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long, and on what."""

    epochs: int = 3
    """Times through the training data."""
    pretrain_epochs: int | None = None
    """Classifiers only: before the first epoch, so many times through the unlabelled texts (the training texts, where
    there are none), predicting each word; done once for all seeds, and kept in the cache."""
    patience: int | None = None
    """Stop after this many epochs without a better validation."""
    keep: Kept = "best"
    """Keep the weights of the epoch that was best on validation, or those of the last, whatever validation says."""
    seed: int = 0
    """All random choices of the training follow from this number; the data do not (languages: --data-seed)."""
    accelerator: Accelerator = "cpu"
    """The device."""
    precision: Precision = "float32"
    """Of the matrix products; the weights stay float32."""
    threads: int | None = None
    """CPU threads, at most four per core. The default is one per core for the mlp and the lstm from a hidden size of
    64, for elman, rnn and gru from 512; else 1. The same seed and threads give the same bits."""
    checkpoint_minutes: float = 10.0
    """Besides each epoch's end, save the state to resume from this often."""
    log_every: int = 10
    """Log a training step's figures this often."""
    samples: int = 1_000
    """Language models only: strings to sample after every epoch; ten are printed."""
    max_new_tokens: int = 2_000
    """Language models only: cut a sampled string off after this many tokens."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "epochs", "pretrain_epochs", "patience", "threads", "log_every", "samples", "max_new_tokens")
        _at_most(self, MOST_THREADS, "threads")
        _at_least(self, 0, "seed", "checkpoint_minutes")
        if self.keep == "last" and self.patience is not None:
            raise ConfigError("--keep last asks nothing of validation, and --patience does.", "Leave one of them out.")


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How strings are drawn."""

    temperature: float = 1.0
    """1 draws from the model's own distribution, lower ones sharpen it: p^(1 / temperature); 0 is the most probable."""
    top_k: int | None = None
    """Draw among this many tokens, the most probable."""
    max_new_tokens: int = 2_000
    """Cut a string off that has not ended after this many tokens behind the prompt."""
    unknown: Annotated[bool, Parameter(negative="")] = False
    """Allow .unk among the drawn tokens; without this, the other tokens share its probability in proportion."""
    seed: int = 0
    """The strings follow from this number, the model and the other options."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "top_k", "max_new_tokens")
        _at_least(self, 0, "seed")
        if not 0 <= self.temperature < inf:
            raise ConfigError(f"The temperature cannot be {self.temperature}.", "Give 0 or more; 1 is the model's own.")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All that a training run is made from."""

    data: DataConfig = field(default_factory=DataConfig)
    batches: BatchConfig = field(default_factory=BatchConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        """Refuse options of which one would do nothing beside the other."""
        if self.optim.warmup_epochs >= self.loop.epochs:
            raise ConfigError(
                f"A warm-up of {self.optim.warmup_epochs} epochs leaves none of {self.loop.epochs} for the rest.",
                "Give a lower --warmup-epochs.",
            )
        language_model = self.data.task == "language-model"
        impossible = {
            "An mlp looks at no earlier token": language_model and self.model.layer == "mlp",
            "A bidirectional layer sees the token that it is to predict": language_model and self.model.bidirectional,
        }
        for problem, given in impossible.items():
            if given:
                raise ConfigError(f"{problem}, so it is no language model.", "Choose another --model.")
        for_language_models = {
            "--stack sum": self.model.stack == "sum",
            "--tied": self.model.tied,
            "--packed": self.batches.packed,
            "--bptt": self.batches.bptt is not None,
            "--no-mask-padding": not self.batches.mask_padding,
            "--samples": self.loop.samples != LoopConfig.samples,
            "--max-new-tokens": self.loop.max_new_tokens != LoopConfig.max_new_tokens,
        }
        for option, given in for_language_models.items():
            if given and not language_model:
                raise ConfigError(f"{option} is for language models.", "Leave it out, or add --task language-model.")
        if self.data.task != "classification" and self.model.pooling != ModelConfig.pooling:
            raise ConfigError("What predicts at every step pools none.", "Leave out --pooling.")
        self._refuse_pretraining()

    def _refuse_pretraining(self) -> None:
        begins = self.loop.pretrain_epochs is not None
        if begins and self.data.task != "classification":
            raise ConfigError("--pretrain-epochs is for classifiers.", "Leave it out.")
        if not begins and self.data.task != "pretraining":
            return
        if self.data.task == "pretraining" and self.model.word_dropout:
            raise ConfigError("Pretraining asks for words, and drops none.", "Leave out --word-dropout.")
        if self.model.layer == "mlp":
            raise ConfigError("An mlp looks at no other token, so it cannot predict one.", "Choose another --model.")
        if self.model.bidirectional and self.model.num_layers > 1:
            raise ConfigError(
                "The second of several layers that read both ways sees the token that it is to predict.",
                "Pretrain one layer, or one direction.",
            )

    def to_toml(self) -> str:
        """Write every field that is not None, in sections."""
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
            Section → field → value, as a TOML file has them.
        where
            What to call their source in an error.

        Raises
        ------
        ConfigError
            A section or a field is unknown, or a value cannot be.
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
        It is not one, or is of another version.
    """
    tables = read_toml(path)
    version = tables.pop("format", None)
    if version != FORMAT:
        raise ConfigError(
            f"{path} is of format {version}; this version of elman reads format {FORMAT}.",
            "Use the version that wrote it, or train anew.",
        )
    config = RunConfig.from_tables(tables, str(path))
    if "name" not in tables.get("data", {}):
        raise ConfigError(f"{path} names no data set.", 'Add it: [data] name = "imdb".')
    return config


def _at_least(config: Any, least: int, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if value is not None and not least <= value < inf:
            raise ConfigError(f"{_flag(name)} must be {least} or more, not {value}.", "Choose another value.")


def _at_most(config: Any, most: int, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if value is not None and value > most:
            raise ConfigError(f"{_flag(name)} must be {most:,} or less, not {value:,}.", "Choose another value.")


def _share(config: Any, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not 0 <= value < 1:
            raise ConfigError(f"{_flag(name)} must be at least 0 and below 1, not {value}.", "Choose another value.")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
