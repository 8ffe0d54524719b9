# Synthetic slices and trained generators -> copies of training patients, and an attack on who was in the training; target
# `privacy`. Its controls are generators that are trained for too long on too few patients, and must be caught.
# in: store/, generators/<name>/seed_<n>/, synthesis/<name>/seed_<n>/slices/
# out: privacy/<name>/seed_<n>/, privacy/controls/<control>/, tables/privacy.*, figures/privacy.png
PRIVACY = config["privacy"]
PRIVACY_CONTROLS = {
    "few_patients": {"patients": PRIVACY["controls"]["patients"], "repeats": 1},
    "repeated_patient": {"patients": 1, "repeats": PRIVACY["controls"]["repeats"]},
}
# may be missing, as long as nobody asks for the audit: what is read of it is read late
CONTROL_OF = PRIVACY["controls"]["generator"]
CONTROL_FOLDER = f"{RESULTS}/privacy/controls/{{control}}"
CONTROL_MODEL = [f"{CONTROL_FOLDER}/{name}" for name in MODEL_FILES]
SYNTHETIC_FILES = ("index.csv", "hu.npy", "labels.npy")
# folder below privacy/ of every audit, with what it is called and the split that it goes by
PRIVACY_AUDITS = {f"{name}/seed_{seed}": (name, seed) for name, seed in RUNS}
PRIVACY_AUDITS |= {f"controls/{control}": (control, FIRST_SEED) for control in PRIVACY_CONTROLS}


rule privacy:
    input:
        privacy_demands,
        expand(f"{RESULTS}/tables/privacy.{{form}}", form=TABLE_FORMS),
        f"{RESULTS}/figures/privacy.png",
        # model cards need the tables too; where there are some, they get the result
        [card for name, seed in RUNS if os.path.exists(card := f"{RESULTS}/generators/{name}/seed_{seed}/README.md")],


rule privacy_control:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        prior=lambda wildcards: f"{RESULTS}/prior{label_subset(CONTROL_OF)}.json",
    output:
        weights=f"{CONTROL_FOLDER}/model.safetensors",
        facts=f"{CONTROL_FOLDER}/model.json",
        prior=f"{CONTROL_FOLDER}/prior.json",
        losses=f"{CONTROL_FOLDER}/losses.csv",
        stats=f"{CONTROL_FOLDER}/stats.csv",
        split=f"{CONTROL_FOLDER}/split.csv",
    log:
        f"{RESULTS}/logs/privacy_control/{{control}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/privacy_control/{{control}}.tsv"
    wildcard_constraints:
        control="|".join(PRIVACY_CONTROLS),
    priority: 10
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("training", gpus=1),
    params:
        code=lambda wildcards: code("privacy_control", implementation_of(CONTROL_OF, training=True)),
        settings=lambda wildcards: pivm_config.training_settings(config, CONTROL_OF),
        plan=lambda wildcards: PRIVACY_CONTROLS[wildcards.control]
        | {key: PRIVACY["controls"][key] for key in ("steps", "channels")},
        seed=FIRST_SEED,
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/privacy_control.py"


use rule sampler_settings as privacy_control_sampler with:
    output:
        f"{CONTROL_FOLDER}/sampler.json",
    log:
        f"{RESULTS}/logs/privacy_control_sampler/{{control}}.log",
    params:
        code=code("sampler_settings"),
        sampler=lambda wildcards: pivm_config.sampler_settings(config, CONTROL_OF),


rule privacy_slices:
    input:
        split=f"{RESULTS}/{{draw}}cohort/split.csv",
        store=rules.slice_store.output,
        model=model_of,
    output:
        hu=f"{RESULTS}/{{draw}}privacy/{{generator}}/seed_{{generator_seed}}/held_out/hu.npy",
        labels=f"{RESULTS}/{{draw}}privacy/{{generator}}/seed_{{generator_seed}}/held_out/labels.npy",
        index=f"{RESULTS}/{{draw}}privacy/{{generator}}/seed_{{generator_seed}}/held_out/index.csv",
    log:
        f"{RESULTS}/{{draw}}logs/privacy_slices/{{generator}}_{{generator_seed}}.log",
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=generator_code("privacy_slices"),
        parts=["val", "test"],
        batch=untracked(config["synthesis"]["batch"]),
        ddpm_batch=ddpm_batch,
        labels=config["labels"],
        seed=generator_seed,
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/privacy_slices.py"


use rule privacy_slices as privacy_control_slices with:
    input:
        split=f"{CONTROL_FOLDER}/split.csv",
        store=rules.slice_store.output,
        model=CONTROL_MODEL,
    output:
        hu=f"{CONTROL_FOLDER}/slices/hu.npy",
        labels=f"{CONTROL_FOLDER}/slices/labels.npy",
        index=f"{CONTROL_FOLDER}/slices/index.csv",
    log:
        f"{RESULTS}/logs/privacy_control_slices/{{control}}.log",
    params:
        code=lambda wildcards: code("privacy_slices", implementation_of(CONTROL_OF)),
        parts=["train", "val", "test"],
        ddpm_batch=lambda wildcards: ddpm_batch_of(CONTROL_OF),
        batch=untracked(config["synthesis"]["batch"]),
        labels=config["labels"],
        seed=FIRST_SEED,
        compute=COMPUTE,
        machine=MACHINE,


rule privacy_audit:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        prior=f"{RESULTS}/prior.json",
        model=model_of,
        slices=lambda wildcards: synthetic_files(f"synthesis/{wildcards.generator}", wildcards, "slices"),
        held_out=lambda wildcards: synthetic_files(f"privacy/{wildcards.generator}", wildcards, "held_out"),
        labels_only=label_sources("labels_only"),
        augmented=label_sources("augmented", hu=True),
    output:
        distances=f"{RESULTS}/privacy/{{generator}}/seed_{{generator_seed}}/distances.csv",
        losses=f"{RESULTS}/privacy/{{generator}}/seed_{{generator_seed}}/membership.csv",
    log:
        f"{RESULTS}/logs/privacy_audit/{{generator}}_{{generator_seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/privacy_audit/{{generator}}_{{generator_seed}}.tsv"
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=generator_code("privacy_audit"),
        noise_levels=PRIVACY["noise_levels"],
        noise_draws=PRIVACY["noise_draws"],
        batch=untracked(config["synthesis"]["batch"]),
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/privacy_audit.py"


use rule privacy_audit as privacy_control_audit with:
    input:
        split=f"{CONTROL_FOLDER}/split.csv",
        store=rules.slice_store.output,
        prior=f"{RESULTS}/prior.json",
        model=CONTROL_MODEL,
        slices=[f"{CONTROL_FOLDER}/slices/{name}" for name in SYNTHETIC_FILES],
        held_out=[f"{CONTROL_FOLDER}/slices/{name}" for name in SYNTHETIC_FILES],
    output:
        distances=f"{CONTROL_FOLDER}/distances.csv",
        losses=f"{CONTROL_FOLDER}/membership.csv",
    log:
        f"{RESULTS}/logs/privacy_control_audit/{{control}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/privacy_control_audit/{{control}}.tsv"
    params:
        code=lambda wildcards: code("privacy_audit", implementation_of(CONTROL_OF)),
        noise_levels=PRIVACY["noise_levels"],
        noise_draws=PRIVACY["noise_draws"],
        batch=untracked(config["synthesis"]["batch"]),
        compute=COMPUTE,
        machine=MACHINE,


rule privacy_table:
    input:
        distances=[f"{RESULTS}/privacy/{folder}/distances.csv" for folder in PRIVACY_AUDITS],
        losses=[f"{RESULTS}/privacy/{folder}/membership.csv" for folder in PRIVACY_AUDITS],
        splits=[
            f"{RESULTS}/{f'privacy/{folder}' if name in PRIVACY_CONTROLS else 'cohort'}/split.csv"
            for folder, (name, _) in PRIVACY_AUDITS.items()
        ],
    output:
        **table_forms("privacy", "report/privacy.rst", cohort=""),
        figure=report(
            f"{RESULTS}/figures/privacy.png",
            caption="report/privacy.rst",
            category="Figures",
            labels={"figure": "distances to training slices, and the membership attack"},
        ),
    log:
        f"{RESULTS}/logs/privacy_table.log",
    conda:
        "../envs/report.yaml"
    resources:
        **needs("facts"),
    params:
        code=code("privacy_table"),
        runs=list(PRIVACY_AUDITS.values()),
        percentiles={"copies": PRIVACY["copy_percentile"], "near": PRIVACY["near_percentile"]},
        procedural=DATASET.layout.procedural,
        confidence=config["tables"]["confidence"],
    script:
        "../workflow_scripts/privacy_table.py"
