# Labels -> synthetic slices and volumes for training sets, and synthetic slices of held-out patients for Table 1.
# in: store/, generators/<name>/seed_<n>/
# out: sources/<source>/, synthesis/<name>/seed_<n>/slices/ and volumes/, images/<name>/seed_<n>/, generators/<name>/seed_<n>/sampler.json
rule sampler_settings:
    output:
        f"{RESULTS}/{{draw}}generators/{{generator}}/seed_{{generator_seed}}/sampler.json",
    log:
        f"{RESULTS}/{{draw}}logs/sampler_settings/{{generator}}_{{generator_seed}}.log",
    localrule: True
    conda:
        "../envs/data.yaml"
    resources:
        **needs("facts"),
    params:
        code=code("sampler_settings"),
        sampler=lambda wildcards: pivm_config.sampler_settings(config, wildcards.generator),
    script:
        "../workflow_scripts/sampler_settings.py"


rule labels_only:
    input:
        split=f"{RESULTS}/{{draw}}cohort/split.csv",
        store=rules.slice_store.output,
        records=per_subject("record.json"),
    output:
        index=f"{RESULTS}/{{draw}}sources/labels_only/index.csv",
        labels=f"{RESULTS}/{{draw}}sources/labels_only/labels.npy",
        body=f"{RESULTS}/{{draw}}sources/labels_only/body.npy",
        sums=f"{RESULTS}/{{draw}}sources/labels_only/SHA256SUMS",
    log:
        f"{RESULTS}/{{draw}}logs/labels_only.log",
    conda:
        "../envs/data.yaml"
    resources:
        **needs("scans"),
    params:
        code=code("labels_only"),
        # with `auto`, subjects without CT may all have been set aside
        required=RECIPES["slices"]["sources"]["labels_only"] not in (0, "auto"),
    script:
        "../workflow_scripts/labels_only.py"


rule virtual_patients:
    input:
        split=f"{RESULTS}/{{draw}}cohort/split.csv",
        store=rules.slice_store.output,
        # change when a scan does
        records=per_subject("record.json"),
    output:
        index=f"{RESULTS}/{{draw}}sources/augmented/index.csv",
        hu=f"{RESULTS}/{{draw}}sources/augmented/hu.npy",
        labels=f"{RESULTS}/{{draw}}sources/augmented/labels.npy",
        body=f"{RESULTS}/{{draw}}sources/augmented/body.npy",
        sums=f"{RESULTS}/{{draw}}sources/augmented/SHA256SUMS",
        transforms=f"{RESULTS}/{{draw}}sources/augmented/transforms.csv",
    log:
        f"{RESULTS}/{{draw}}logs/virtual_patients.log",
    conda:
        "../envs/data.yaml"
    resources:
        **needs("scans"),
    params:
        code=code("virtual_patients", DATASET.layout.module),
        settings=config["synthesis"]["augmented"],
        recipes=[one for one in RECIPES.values() if one["sources"].get("augmented")],
        subjects={name: subject.as_params() for name, subject in LISTING.subjects.items()},
        labels=config["labels"],
        overlap=config["selection"]["overlap"],
        other_grid=config["quality"]["other_grid"],
        padding=config["quality"]["padding"],
        seed=config["split"]["seed"],
    script:
        "../workflow_scripts/virtual_patients.py"


rule synthesise_slices:
    input:
        split=f"{RESULTS}/{{draw}}cohort/split.csv",
        store=rules.slice_store.output,
        labels_only=label_sources("labels_only"),
        augmented=label_sources("augmented"),
        model=model_of,
    output:
        hu=f"{RESULTS}/{{draw}}synthesis/{{generator}}/seed_{{generator_seed}}/{{recipe}}/hu.npy",
        labels=f"{RESULTS}/{{draw}}synthesis/{{generator}}/seed_{{generator_seed}}/{{recipe}}/labels.npy",
        index=f"{RESULTS}/{{draw}}synthesis/{{generator}}/seed_{{generator_seed}}/{{recipe}}/index.csv",
    log:
        f"{RESULTS}/{{draw}}logs/synthesise_slices/{{generator}}_{{generator_seed}}/{{recipe}}.log",
    benchmark:
        f"{RESULTS}/{{draw}}benchmarks/synthesise_slices/{{generator}}_{{generator_seed}}/{{recipe}}.tsv"
    priority: 5
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=generator_code("synthesise_slices"),
        part="train",
        purpose="synthesis",
        slices=recipe("slices"),
        sources=recipe("sources"),
        batch=untracked(config["synthesis"]["batch"]),
        ddpm_batch=ddpm_batch,
        labels=config["labels"],
        seed=generator_seed,
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/synthesise_slices.py"


rule synthesise_test:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        store=rules.slice_store.output,
        model=model_of,
    output:
        hu=f"{RESULTS}/{{cohort}}images/{{generator}}/seed_{{generator_seed}}/hu.npy",
        labels=f"{RESULTS}/{{cohort}}images/{{generator}}/seed_{{generator_seed}}/labels.npy",
        index=f"{RESULTS}/{{cohort}}images/{{generator}}/seed_{{generator_seed}}/index.csv",
    log:
        f"{RESULTS}/logs/{{cohort}}synthesise_test/{{generator}}_{{generator_seed}}.log",
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=generator_code("synthesise_slices"),
        part=scored_part,
        purpose="image fidelity",
        patients=config["tables"]["image_patients"],
        batch=untracked(config["synthesis"]["batch"]),
        ddpm_batch=ddpm_batch,
        labels=config["labels"],
        seed=generator_seed,
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/synthesise_slices.py"


rule synthesise_volumes:
    input:
        split=f"{RESULTS}/cohort/split.csv",
        records=per_subject("record.json"),
        model=model_of,
    output:
        volumes=directory(f"{RESULTS}/synthesis/{{generator}}/seed_{{generator_seed}}/volumes"),
        continuity=f"{RESULTS}/synthesis/{{generator}}/seed_{{generator_seed}}/continuity.csv",
    log:
        f"{RESULTS}/logs/synthesise_volumes/{{generator}}_{{generator_seed}}.log",
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=generator_code("synthesise_volumes", DATASET.layout.module),
        volumes=config["synthesis"]["volumes"],
        volumes_from=config["synthesis"]["volumes_from"],
        batch=untracked(config["synthesis"]["batch"]),
        ddpm_batch=ddpm_batch,
        subjects={name: subject.as_params() for name, subject in LISTING.subjects.items()},
        labels=config["labels"],
        overlap=config["selection"]["overlap"],
        other_grid=config["quality"]["other_grid"],
        padding=config["quality"]["padding"],
        size=config["image"]["size"],
        seed=generator_seed,
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/synthesise_volumes.py"
