#include "federation/channels.h"

#include "base/mem.h"

uint32_t fed_validating_hospitals(const fed_job *job) {
    uint32_t n = 0;
    for (uint32_t k = 0; k < job->n_hospitals; k++)
        n += job->hospitals[k].validation.n > 0;
    return n;
}

/* What both kinds of sums have in common. */
static fed_sum_config sum_config(const fed_job *job) {
    const msfl_simulate_options *o = job->options;
    return (fed_sum_config){.value_bits = o->value_bits,
                            .security_bits = o->security_bits,
                            .n_clients = job->n_hospitals,
                            .custody = job->custody,
                            .delivery = job->delivery,
                            .min_cohort = o->allow_two_sites ? 2 : 3,
                            .task = job->task};
}

fed_sum_config fed_update_config(const fed_job *job, const float *clip, msfl_update_range *ranges) {
    fed_sum_config config = sum_config(job);
    config.n_ranges = job->sent.n_tensors;
    for (uint32_t i = 0; i < config.n_ranges; i++)
        ranges[i] = (msfl_update_range){job->sent.counts[i], clip[i]};
    config.n_counters = JOB_UPDATE_COUNTERS;
    config.n_samples_max = job->n_samples_max;
    config.ranges = ranges;
    return config;
}

fed_sum_config fed_evaluation_config(const fed_job *job) {
    fed_sum_config config = sum_config(job);
    config.n_counters = JOB_EVAL_COUNTERS;
    config.n_samples_max = 1;
    return config;
}

msfl_status fed_channels_init(fed_job *job) {
    if (!job->encrypts) return MSFL_OK;
    uint32_t n = job->sent.n_tensors;
    msfl_update_range *ranges = msfl_alloc(n, sizeof *ranges);
    float *clip = msfl_alloc(n, sizeof *clip);
    msfl_status status = ranges == NULL || clip == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    if (status == MSFL_OK) {
        for (uint32_t i = 0; i < n; i++)
            clip[i] = 1; /* bounds change from round to round; parameters do not depend on them */
        const fed_sum_config updates = fed_update_config(job, clip, ranges), evaluation = fed_evaluation_config(job);
        status = fed_channel_init(&job->updates, job->scheme, &updates);
        if (status == MSFL_OK) status = fed_channel_init(&job->evaluation, job->scheme, &evaluation);
    }
    msfl_free(ranges);
    msfl_free(clip);
    return status;
}
