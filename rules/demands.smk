# What the targets beside the default one ask for, with the check of the config that each makes when it is asked for; no rule.
def privacy_demands(wildcards):
    """Nothing; the config is checked for the audit when it is asked for."""
    try:
        pivm_privacy.require_audit(config)
    except errors.ConfigError as error:
        refuse(error)
    return []


def privacy_of_card(wildcards):
    """The privacy audit, where it was run or is asked for: a model card then has its result, and is kept up to date."""
    path = f"{RESULTS}/tables/privacy.csv"
    return [path] if os.path.exists(path) or "privacy" in flags.targets else []


def ablation_methods(wildcards):
    """Method -> generator; the config is checked for them when they are asked for."""
    try:
        return pivm_ablation.ablation_methods(config)
    except errors.ConfigError as error:
        refuse(error)


def ablation_slices(wildcards):
    return paired_slices([(name, FIRST_SEED) for name in ablation_methods(wildcards).values()], cohort="")


def ablation_priors(wildcards):
    generators = ablation_methods(wildcards).values()
    return expand(f"{RESULTS}/generators/{{generator}}/seed_{FIRST_SEED}/prior.json", generator=generators)


def ablation_runs(wildcards):
    return [(method, FIRST_SEED) for method in ablation_methods(wildcards)]


def evidence_demands(wildcards):
    """Nothing; the config is checked for the arms when they are asked for."""
    try:
        pivm_evidence.require_arms(config)
    except errors.ConfigError as error:
        refuse(error)
    return []


def evidence_cases(wildcards):
    """Scores of the segmenters of all arms and draws, on the test slices as they are and as another scanner's."""
    return [
        f"{RESULTS}/{EVIDENCE_DRAWS[place]}segmentation/{one.folder}/cases{suffix}.csv"
        for suffix in EVIDENCE_TESTS.values()
        for place, _, _, one in EVIDENCE_POINTS
    ]


def nnunet_demands(wildcards):
    """Nothing; what the target needs is looked for when it is asked for."""
    try:
        if not config["synthesis"]["volumes"]:
            raise errors.ConfigError("synthesis.volumes", "found 0, but nnU-Net learns from synthetic volumes")
        if not workflow.deployment_settings.deployment_method:  # jobs run in the environment of this process
            pivm_nnunet.require_installed()
    except errors.PivmError as error:
        refuse(error)
    return []
