# Synthetic slices -> which of them are used (`synthesis.keep`); the judges are segmenters of real slices, each of one half of
# the training patients, trained by rules/segmentation.smk.
# in: store/, synthesis/<name>/seed_<n>/<recipe>/   out: synthesis/<name>/seed_<n>/<recipe>/gate.csv
rule gate:
    input:
        split=f"{RESULTS}/{{draw}}cohort/split.csv",
        store=rules.slice_store.output,
        synthetic=rules.synthesise_slices.output,
        # what copies are told by, where they are looked for
        held_out=for_copies(lambda w: synthetic_files(f"privacy/{w.generator}", w, "held_out")),
        prior=for_copies(lambda w: [f"{RESULTS}/{draw_of(w)}prior.json"]),
        labels_only=for_copies(label_sources("labels_only")),
        augmented=for_copies(label_sources("augmented", hu=True)),
        judges=expand(
            f"{RESULTS}/{{{{draw}}}}segmentation/{{one.folder}}/seed_{{one.segmenter_seeds[0]}}/model.{{kind}}",
            one=JUDGES,
            kind=["safetensors", "json"],
        ),
    output:
        scores=f"{RESULTS}/{{draw}}synthesis/{{generator}}/seed_{{generator_seed}}/{{recipe}}/gate.csv",
    log:
        f"{RESULTS}/{{draw}}logs/gate/{{generator}}_{{generator_seed}}/{{recipe}}.log",
    conda:
        "../envs/training.yaml"
    threads: THREADS
    resources:
        **needs("inference", gpus=1),
    params:
        code=code("gate"),
        keep=config["synthesis"]["keep"],
        seed=generator_seed,
        batch=untracked(config["segmentation"]["test_batch"]),
        labels=config["labels"],
        compute=COMPUTE,
        machine=MACHINE,
    script:
        "../workflow_scripts/gate.py"
