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
    """The batch of inference of the generator of the wildcard, where it counts."""
    return ddpm_batch_of(wildcards.generator)


def ddpm_batch_of(generator):
    """The batch of inference where it counts: the sampler `ddpm` draws the noise of its steps for a batch as a whole."""
    sampler = pivm_config.sampler_settings(config, generator)
    return config["synthesis"]["batch"] if sampler.get("name") == "ddpm" else None


def segmenter_settings(wildcards):
    """What the weights of a segmenter depend on."""
    return settings_of_set(config, ALL_SETS[wildcards.training_set])


def label_sources(source, hu=False):
    """Files of the label maps of a source other than the training patients, where a recipe takes any of it."""

    def files(wildcards):
        if not RECIPES[wildcards.get("recipe", "slices")]["sources"].get(source):
            return []
        folder = f"{RESULTS}/{draw_of(wildcards)}sources/{source}"
        names = ["index.csv", "labels.npy", "body.npy", "SHA256SUMS", *(["hu.npy"] if hu else [])]
        return [f"{folder}/{name}" for name in names]

    return files


def recipe(key):
    """A value of the recipe of synthetic slices."""
    return lambda wildcards: RECIPES[wildcards.recipe][key]


def draw_of(wildcards):
    """Prefix of what depends on the draw of annotated patients; empty for that of the config."""
    return wildcards.get("draw", "")


def prior_of(wildcards):
    return f"{RESULTS}/{draw_of(wildcards)}prior{label_subset(wildcards.generator)}.json"


def generator_seed(wildcards):
    return int(wildcards.generator_seed)


def scored_part(wildcards):
    return COHORTS[wildcards.cohort]


def model_of(wildcards):
    folder = f"{RESULTS}/{draw_of(wildcards)}generators/{wildcards.generator}/seed_{wildcards.generator_seed}"
    return [f"{folder}/{name}" for name in MODEL_FILES]


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


def volume_prefix(table):
    """What sets the scores of whole volumes apart from those of slices."""
    return "volume_" if table in WHOLE_VOLUMES else ""


def segmenters_of(wildcards):
    """The models that learnt from a training set, one for each seed."""
    folder = f"{RESULTS}/{draw_of(wildcards)}segmentation/{wildcards.training_set}"
    seeds = ALL_SETS[wildcards.training_set].segmenter_seeds
    return [f"{folder}/seed_{seed}/model.{kind}" for seed in seeds for kind in ("safetensors", "json")]


def synthetic_part(wildcards):
    """The synthetic slices in a training set of the segmenter."""
    part, draw = ALL_SETS[wildcards.training_set], draw_of(wildcards)
    if part.recipe is None:
        return []
    if part.generator is None:
        folder = f"{RESULTS}/{draw}sources/{part.recipe}"
    else:
        folder = f"{RESULTS}/{draw}synthesis/{part.generator}/seed_{part.generator_seed}/{part.recipe}"
    gate = ["gate.csv"] if config["synthesis"]["keep"] is not None and part.generator else []
    return [f"{folder}/{name}" for name in ("hu.npy", "labels.npy", "index.csv", *gate)]


def synthetic_files(folder, wildcards, name):
    """The files of synthetic slices below a folder of a generator."""
    place = f"{RESULTS}/{draw_of(wildcards)}{folder}/seed_{wildcards.generator_seed}/{name}"
    return [f"{place}/{file}" for file in ("index.csv", "hu.npy", "labels.npy")]


def for_copies(files):
    """Files that a gate needs which looks for copies."""
    asked = (config["synthesis"]["keep"] or {}).get("copy_percentile") is not None
    return lambda wildcards: files(wildcards) if asked else []
