# What rules ask for by their wildcards: input files, settings, seeds; no rule.
def paired_slices(runs, cohort="{cohort}"):
    """Synthetic slices of held-out patients, for evaluation alone: files of each (generator, seed)."""
    folders = [f"{RESULTS}/{cohort}images/{generator}/seed_{seed}" for generator, seed in runs]
    return [f"{folder}/{name}" for folder in folders for name in ("index.csv", "hu.npy")]


def stage_settings(*sections):
    """What a stage of MAISI depends on: its settings and those of the stages before, so that no later one reruns it."""

    def settings(wildcards):
        settings = pivm_config.training_settings(config, wildcards.generator)
        return {key: settings[key] for key in ("name", "kind", *sections)}

    return settings


def ddpm_batch(wildcards):
    """The batch of inference where it counts: the sampler `ddpm` draws the noise of its steps for a batch as a whole."""
    sampler = pivm_config.sampler_settings(config, wildcards.generator)
    return config["synthesis"]["batch"] if sampler.get("name") == "ddpm" else None


def segmenter_settings(wildcards):
    """What the weights of a segmenter depend on."""
    unused = {"seeds", "control_seeds", "test_batch"}
    if not SETS[wildcards.training_set].real:
        unused.add("real_slices")
    return {key: value for key, value in config["segmentation"].items() if key not in unused}


def prior_of(wildcards):
    return f"{RESULTS}/prior{label_subset(wildcards.generator)}.json"


def generator_seed(wildcards):
    return int(wildcards.generator_seed)


def scored_part(wildcards):
    return COHORTS[wildcards.cohort]


def model_of(wildcards):
    folder = f"{RESULTS}/generators/{wildcards.generator}/seed_{wildcards.generator_seed}"
    return [f"{folder}/{name}" for name in ("model.safetensors", "model.json", "prior.json", "sampler.json")]


def generators_of(rules, released=False):
    """Wildcard constraint: generators whose kind is trained by rules/<rules>.smk, with released weights or without."""
    kinds = {n: pivm_config.kind_named(config, n) for n in ENTRIES}
    chosen = [n for n, kind in kinds.items() if kind.rules == rules and (n in CHECKPOINTS) == released]
    return "|".join(chosen) or "(?!)"


def table_forms(table, caption, cohort="{cohort}"):
    """The four forms of a table as outputs of a rule; CSV and HTML are in the report.

    `table` is a name or a wildcard.
    """
    forms = {form: f"{RESULTS}/{cohort}tables/{table}.{form}" for form in TABLE_FORMS}
    for form, title in (("csv", "tidy CSV"), ("html", "as in the paper")):
        forms[form] = report(forms[form], caption=caption, category="Tables", labels={"table": table, "form": title})
    return forms


def subject_files(wildcards):
    """What Snakemake watches of a subject; the files of a subject that the workflow makes need not exist yet."""
    return DATASET.layout.watched(LISTING.subjects[wildcards.subject])


def per_subject(name):
    return expand(f"{RESULTS}/subjects/{{subject}}/{name}", subject=SUBJECTS)


def columns_of(table):
    """Columns of Tables 2 and 3; those on whole volumes have the same."""
    return COLUMNS[table.removesuffix("_volumes")]


def volume_prefix(table):
    """What sets the scores of whole volumes apart from those of slices."""
    return "volume_" if table in VOLUME_TABLES else ""


def segmenters_of(wildcards):
    """The models that learnt from a training set, one for each seed."""
    folder = f"{RESULTS}/segmentation/{wildcards.training_set}"
    seeds = SETS[wildcards.training_set].segmenter_seeds
    return [f"{folder}/seed_{seed}/model.{kind}" for seed in seeds for kind in ("safetensors", "json")]


def synthetic_part(wildcards):
    """The synthetic slices in a training set of the segmenter."""
    part = SETS[wildcards.training_set]
    if part.generator is None:
        return []
    folder = f"{RESULTS}/synthesis/{part.generator}/seed_{part.generator_seed}/slices"
    return [f"{folder}/{name}" for name in ("hu.npy", "labels.npy", "index.csv")]


def ablation_methods(wildcards):
    """Method -> generator; the config is checked for them when they are asked for."""
    try:
        return pivm_ablation.ablation_methods(config)
    except errors.ConfigError as error:
        raise WorkflowError(str(error)) from None


def ablation_slices(wildcards):
    return paired_slices([(name, FIRST_SEED) for name in ablation_methods(wildcards).values()], cohort="")


def ablation_priors(wildcards):
    generators = ablation_methods(wildcards).values()
    return expand(f"{RESULTS}/generators/{{generator}}/seed_{FIRST_SEED}/prior.json", generator=generators)


def ablation_runs(wildcards):
    return [(method, FIRST_SEED) for method in ablation_methods(wildcards)]
