/* The run as it was set up. */
#include "federation/result_parts.h"

#include "base/sodium.h"

static json_t *indices_counts(const fed_job *job, const fed_hospital *h) {
    uint32_t counts[MSFL_CLASSES_MAX] = {0};
    for (uint32_t i = 0; i < h->train.n; i++)
        counts[msfl_dataset_label(job->dataset, h->train.at[i])]++;
    for (uint32_t i = 0; i < h->validation.n; i++)
        counts[msfl_dataset_label(job->dataset, h->validation.at[i])]++;
    json_t *list = json_array();
    for (uint32_t c = 0; c < msfl_dataset_info_borrow(job->dataset)->n_classes; c++) {
        json_array_append_new(list, json_integer(counts[c]));
    }
    return list;
}

static json_t *skipped_json(const fed_job *job) {
    json_t *list = json_array();
    const char *text;
    for (uint32_t i = 0; (text = msfl_dataset_skip_reason(job->dataset, i)) != NULL; i++) {
        json_array_append_new(list, json_pack("{s:o}", "reason", msfl_json_string(text)));
    }
    return list;
}

json_t *fed_result_data(const fed_job *job) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(job->dataset);
    json_t *classes = json_array(), *hospitals = json_array();
    for (uint32_t c = 0; c < info->n_classes; c++) {
        json_array_append_new(classes, msfl_json_string(msfl_dataset_class_name(job->dataset, c)));
    }
    for (uint32_t k = 0; k < job->n_hospitals; k++) {
        const fed_hospital *h = &job->hospitals[k];
        json_t *one = json_pack("{s:s, s:i, s:i, s:i, s:o}", "name", h->name, "train", (int)h->train.n, "validation",
                                (int)h->validation.n, "patients", (int)h->n_patients, "counts", indices_counts(job, h));
        const msfl_shift *s = &job->shifts[k];
        if (job->options->shift != NULL) {
            json_object_set_new(one, "shift",
                                json_pack("{s:f, s:f, s:f, s:f}", "gamma", (double)s->gamma, "blur", (double)s->blur,
                                          "noise", (double)s->noise, "resolution", (double)s->resolution));
        }
        json_array_append_new(hospitals, one);
    }
    json_t *data =
        json_pack("{s:o, s:s, s:b, s:i, s:o, s:i, s:i, s:i, s:i, s:o, s:o, s:s?}", "source",
                  msfl_json_string(job->imported != NULL ? job->options->data : info->source), "kind", info->kind,
                  "synthetic", info->synthetic, "images", (int)info->n_images, "classes", classes, "width",
                  (int)info->width, "height", (int)info->height, "channels", (int)info->channels, "groups",
                  (int)info->n_groups, "group_key", msfl_json_string(info->group_key), "label_key",
                  msfl_json_string(info->label_key), "split_rule", job->split.how);
    if (info->depth > 1) json_object_set_new(data, "depth", json_integer(info->depth));
    if (info->shown > 0) json_object_set_new(data, "shown", json_integer(info->shown - 1));
    json_object_set_new(data, "train", json_integer(job->split.train.n));
    json_object_set_new(data, "validation", json_integer(job->split.validation.n));
    json_object_set_new(data, "test", json_integer(job->split.test.n));
    json_object_set_new(data, "n_skipped", json_integer(info->n_skipped));
    json_object_set_new(data, "skipped", skipped_json(job));
    json_object_set_new(data, "partition", json_string(job->options->partition));
    json_object_set_new(data, "shift", msfl_json_string(job->options->shift));
    json_object_set_new(data, "recipe", msfl_json_string(info->recipe));
    json_object_set_new(data, "hospitals", hospitals);
    return data;
}

json_t *fed_result_model(const fed_job *job) {
    const msfl_model_info *info = msfl_model_info_borrow(job->model);
    uint8_t hash[MSFL_HASH_BYTES];
    char hex[2 * MSFL_HASH_BYTES + 1];
    msfl_model_hash(job->model, hash);
    msfl_hex(hash, sizeof hash, hex);
    json_t *layers = json_array();
    for (uint32_t i = 0; i < info->n_layers; i++) {
        json_array_append_new(layers, json_string(msfl_model_layer_text(job->model, i)));
    }
    return json_pack("{s:s, s:I, s:I, s:o, s:s}", "name", info->name, "values", (json_int_t)info->n_values, "trainable",
                     (json_int_t)info->n_trainable, "layers", layers, "hash", hex);
}

json_t *fed_result_training(const fed_job *job) {
    static const char *const normalisations[] = {"image", "set", "none"};
    const msfl_simulate_options *o = job->options;
    json_t *training = json_pack("{s:s, s:o, s:o, s:o, s:i, s:i, s:b, s:s, s:s}", "optimizer",
                                 o->train.optimizer == MSFL_ADAM ? "adam" : "sgd", "learning_rate",
                                 msfl_json_real(o->train.learning_rate), "momentum", msfl_json_real(o->train.momentum),
                                 "weight_decay", msfl_json_real(o->train.weight_decay), "batch", (int)o->train.batch,
                                 "local_epochs", (int)o->train.n_epochs, "augment", o->augment, "normalise",
                                 normalisations[o->normalise], "server_rule", job->aggregate->name);
    /* Only what differs from plain training. */
    if (o->augmentation != NULL) json_object_set_new(training, "augmentation", msfl_json_string(o->augmentation));
    if (o->balance) json_object_set_new(training, "balance", json_true());
    if (o->logit_adjustment > 0) json_object_set_new(training, "logit_adjustment", msfl_json_real(o->logit_adjustment));
    if (o->train.n_steps > 0) json_object_set_new(training, "local_steps", json_integer(o->train.n_steps));
    if (job->aggregate->n_moments > 0)
        json_object_set_new(training, "server_learning_rate", msfl_json_real(o->server_learning_rate));
    if (o->schedule != NULL) json_object_set_new(training, "schedule", json_string(o->schedule));
    if (o->average_rounds > 0) json_object_set_new(training, "average_rounds", json_integer(o->average_rounds));
    if (o->keep_last) json_object_set_new(training, "keep_last", json_true());
    if (o->n_views > 1) json_object_set_new(training, "views", json_integer(o->n_views));
    if (o->train.focal > 0) json_object_set_new(training, "focal", msfl_json_real(o->train.focal));
    if (job->is_pixelwise) json_object_set_new(training, "dice", msfl_json_real(o->train.dice));
    if (o->train.proximal > 0) json_object_set_new(training, "proximal", msfl_json_real(o->train.proximal));
    if (job->n_norms > 0) json_object_set_new(training, "norms", json_string(job_norms_words[job->norms]));
    return training;
}

/* What the packed scheme says of its parameters beyond what all schemes do. */
static void put_packed_params(const fed_job *job, json_t *out) {
    const msfl_scheme_request *r = msfl_setup_request(job->updates.setup);
    const msfl_params_request request = {.n_clients = r->n_clients,
                                         .value_bits = r->value_bits,
                                         .n_values = r->n_values,
                                         .security_bits = r->security_bits,
                                         .ring_degree = r->ring_degree,
                                         .n_shares = r->custody == MSFL_CUSTODY_COMMITTEE ? r->n_clients : 1};
    msfl_params p;
    if (msfl_params_plan(&request, &p) != MSFL_OK) return; /* it was planned before: only memory could be missing */
    msfl_params_facts f;
    msfl_params_describe(&p, r->n_values, &f);
    json_object_set_new(out, "ring_degree", json_integer(p.ring_degree));
    json_object_set_new(out, "n_primes", json_integer(p.n_primes));
    json_object_set_new(out, "log2_q", json_real(f.log2_q));
    json_object_set_new(out, "log2_q_max", json_real(f.log2_q_max));
    json_object_set_new(out, "slot_bits", json_integer(p.slot_bits));
    json_object_set_new(out, "slots_per_coefficient", json_integer(p.slots_per_coefficient));
    json_object_set_new(out, "noise_bits_max", json_real(f.noise_bits_max));
}

json_t *fed_result_params(const fed_job *job) {
    if (!job->encrypts) return json_null();
    const msfl_scheme_request *r = msfl_setup_request(job->updates.setup);
    msfl_scheme_facts f;
    msfl_setup_facts(job->updates.setup, &f);
    json_t *out = json_object();
    json_object_set_new(out, "description", json_string(f.parameters));
    json_object_set_new(out, "security_bits", json_integer((json_int_t)f.security_bits));
    json_object_set_new(out, "clients", json_integer(r->n_clients));
    json_object_set_new(out, "value_bits", json_integer(r->value_bits));
    json_object_set_new(out, "log2_failure", msfl_json_real(f.log2_failure));
    json_object_set_new(out, "bits_per_value", json_real(8.0 * (double)f.upload_bytes / (double)r->n_values));
    json_object_set_new(out, "chunks", json_integer((json_int_t)f.n_chunks));
    json_object_set_new(out, "slots", json_integer((json_int_t)r->n_values));
    json_object_set_new(out, "setup_bytes", json_integer((json_int_t)f.setup_bytes));
    json_object_set_new(out, "kernel", json_string(msfl_setup_kernel(job->updates.setup)));
    if (fed_is_packed(job)) put_packed_params(job, out);
    return out;
}
