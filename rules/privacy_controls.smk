# The controls of the audit: generators that are trained for too long on too few patients, and the audit of them as of the others.
# in: store/, cohort/split.csv   out: privacy/controls/<control>/
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
