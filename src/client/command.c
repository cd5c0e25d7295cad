#include "client/command.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "client/outcome.h"
#include "client/sandbox.h"
#include "client/tensors.h"
#include "text/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    NAMES_MAX = 100000,
    EXIT_STAYS_OUT = 3, /* has no images of this kind */
    READ_FIXED = 12     /* folders that every program needs */
};

typedef struct place {
    char *folder, *in, *out, *tmp, *log;
} place;

/* --- the folder --- */

/* What a crash has left: weights that nobody waits for. */
static void remove_old(const char *folder) {
    char **names;
    size_t n;
    if (msfl_folder_list(folder, NAMES_MAX, &names, &n) != MSFL_OK) return;
    for (size_t i = 0; i < n; i++) {
        if (strncmp(names[i], "trainer-", 8) != 0) continue;
        char *path = msfl_path_join(folder, names[i]);
        if (path != NULL) client_folder_remove(path);
        msfl_free(path);
    }
    msfl_names_free(names, n);
}

static void place_clear(place *p) {
    if (p->in != NULL) client_folder_remove(p->folder);
    msfl_free(p->folder);
    msfl_free(p->in);
    msfl_free(p->out);
    msfl_free(p->tmp);
    msfl_free(p->log);
}

static msfl_status place_make(const char *folder, place *p) {
    *p = (place){0};
    remove_old(folder);
    char *absolute = msfl_path_absolute(folder);
    if (absolute == NULL) return msfl_fail(MSFL_ERR_IO, "%s cannot be found", folder);
    p->folder = msfl_format("%s/trainer-XXXXXX", absolute);
    p->log = msfl_format("%s/trainer.log", absolute);
    msfl_free(absolute);
    if (p->folder == NULL || p->log == NULL) return MSFL_NO_MEMORY;
    if (mkdtemp(p->folder) == NULL) return msfl_fail_errno(errno, "%s cannot be made", p->folder);
    p->in = msfl_path_join(p->folder, "in");
    p->out = msfl_path_join(p->folder, "out");
    p->tmp = msfl_path_join(p->folder, "tmp");
    if (p->in == NULL || p->out == NULL || p->tmp == NULL) return MSFL_NO_MEMORY;
    if (mkdir(p->in, 0700) != 0 || mkdir(p->out, 0700) != 0 || mkdir(p->tmp, 0700) != 0) {
        return msfl_fail_errno(errno, "%s: folders cannot be made in it", p->folder);
    }
    return MSFL_OK;
}

/* --- what goes in --- */

static json_t *tensors_json(const job_shape *shape) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < shape->n_tensors; i++) {
        char name[200];
        client_tensor_name(shape, i, name);
        json_t *dims = json_array();
        uint64_t of[JOB_RANK_MAX];
        const uint32_t rank = client_tensor_dims(shape, i, of);
        for (uint32_t k = 0; k < rank; k++)
            json_array_append_new(dims, json_integer((json_int_t)of[k]));
        json_array_append_new(
            list, json_pack("{ss so sb}", "name", name, "shape", dims, "statistic", (int)!shape->weight[i]));
    }
    return list;
}

static json_t *classes_json(const job_spec *spec) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < spec->n_classes; i++)
        json_array_append_new(list, json_string(spec->classes[i]));
    return list;
}

static json_t *data_json(const client_site *site) {
    json_t *o = json_object();
    json_object_set_new(o, "path", msfl_json_string(site->path));
    json_object_set_new(o, "label", msfl_json_string(site->label));
    if (site->share.of > 0) {
        json_object_set_new(o, "share",
                            json_pack("{sI sI ss sI}", "of", (json_int_t)site->share.of, "index",
                                      (json_int_t)site->share.index, "partition", site->share.partition, "seed",
                                      (json_int_t)site->share.seed));
    }
    return o;
}

static msfl_status write_job(const client_learner_options *o, const job_plan *plan, const char *folder) {
    const job_spec *spec = o->shape->spec;
    const bool train = plan->kind == JOB_UPDATE;
    const uint64_t exact = (UINT64_C(1) << 53) - 1; /* what any JSON reader holds */
    json_t *job = json_pack("{ss si ss ss ss si si sf si si ss sf sf sf sb sb ss sf sf sI ss}", "format",
                            "medsecurefl-trainer", "version", 1, "job", o->job, "name", spec->name, "mode",
                            train ? "train" : "evaluate", "round", (int)plan->round, "rounds", (int)spec->rule.n_rounds,
                            "learning_rate", plan->learning_rate, "local_epochs", (int)spec->train.n_epochs, "batch",
                            (int)spec->train.batch, "optimizer", spec->train.optimizer == MSFL_ADAM ? "adam" : "sgd",
                            "momentum", (double)spec->train.momentum, "weight_decay", (double)spec->train.weight_decay,
                            "label_smoothing", (double)spec->train.label_smoothing, "augment", (int)spec->train.augment,
                            "flip_horizontal", (int)spec->flip_horizontal, "normalise", spec->normalise,
                            "test_fraction", spec->test_fraction, "validation_fraction", spec->validation_fraction,
                            "seed", (json_int_t)(job_train_seed(spec->seed, o->client) & exact), "weights",
                            o->site->trainer.format == CLIENT_H5 ? "in/weights.h5" : "in/weights.npz");
    if (job == NULL) return msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    /* Only what differs from plain training: a trainer that does not know a field may pass it over only if it is
     * absent. */
    if (spec->augmentation[0] != 0) json_object_set_new(job, "augmentation", json_string(spec->augmentation));
    if (spec->balance) json_object_set_new(job, "balance", json_true());
    if (spec->logit_adjustment > 0) json_object_set_new(job, "logit_adjustment", json_real(spec->logit_adjustment));
    if (spec->train.n_steps > 0) json_object_set_new(job, "local_steps", json_integer(spec->train.n_steps));
    if (spec->train.focal > 0) json_object_set_new(job, "focal", json_real((double)spec->train.focal));
    if (spec->train.proximal > 0) json_object_set_new(job, "proximal", json_real((double)spec->train.proximal));
    if (o->shape->n_structures > 0) {
        json_object_set_new(job, "task", json_string("segmentation"));
        json_object_set_new(job, "dice", json_real((double)spec->train.dice));
    }
    if (!train) json_object_set_new(job, "part", json_string(plan->kind == JOB_TEST ? "test" : "validation"));
    json_object_set_new(job, "tensors", tensors_json(o->shape));
    json_object_set_new(job, "classes", classes_json(spec));
    json_object_set_new(job, "data", data_json(o->site));
    char *path = msfl_path_join(folder, "job.json");
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : msfl_json_write(path, job);
    msfl_free(path);
    json_decref(job);
    return status;
}

static char *weights_path(const client_trainer *t, const char *folder) {
    return msfl_path_join(folder, t->format == CLIENT_H5 ? "weights.h5" : "weights.npz");
}

/* --- running it --- */

/* What the program needs to be read: systems' folders, the images, the folders of files that it is given. */
static void readable(const client_learner_options *o, char **parents, const char **list) {
    static const char *const fixed[READ_FIXED] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64",
                                                  "/etc", "/opt", "/proc", "/sys", "/dev",   "/var/lib/dpkg"};
    const client_trainer *t = &o->site->trainer;
    size_t n = 0;
    for (size_t i = 0; i < READ_FIXED; i++)
        list[n++] = fixed[i];
    for (uint32_t i = 0; i < t->n_read; i++)
        list[n++] = t->read[i];
    if (o->site->path != NULL) list[n++] = o->site->path;
    for (uint32_t i = 0; i < t->n_command; i++) {
        if (t->command[i][0] != '/' || !msfl_file_exists(t->command[i])) continue;
        parents[i] = msfl_strdup(t->command[i]);
        char *slash = parents[i] == NULL ? NULL : strrchr(parents[i], '/');
        if (slash == NULL || slash == parents[i]) continue; /* never all of "/" */
        *slash = 0;
        list[n++] = parents[i];
    }
    list[n] = NULL;
}

static msfl_status run(const client_learner_options *o, const place *p, client_outcome *outcome) {
    const client_trainer *t = &o->site->trainer;
    char *home = msfl_format("HOME=%s", p->folder), *tmp = msfl_format("TMPDIR=%s", p->tmp),
         *here = msfl_format("MSFL_FOLDER=%s", p->folder);
    const char *environment[CLIENT_WORDS_MAX + 8], *read[READ_FIXED + 2 * CLIENT_WORDS_MAX + 4];
    const char *const write[] = {p->folder, NULL};
    char *parents[CLIENT_WORDS_MAX] = {NULL};
    size_t n = 0;
    environment[n++] = "PATH=/usr/local/bin:/usr/bin:/bin";
    environment[n++] = "LANG=C.UTF-8";
    environment[n++] = home;
    environment[n++] = tmp;
    environment[n++] = here;
    for (uint32_t i = 0; i < t->n_environment; i++)
        environment[n++] = t->environment[i];
    environment[n] = NULL;
    readable(o, parents, read);
    const client_sandbox sandbox = {.command = (const char *const *)t->command,
                                    .environment = environment,
                                    .folder = p->folder,
                                    .log = p->log,
                                    .timeout_s = t->timeout_s,
                                    .memory_bytes = (uint64_t)t->memory_mb << 20,
                                    .file_bytes = (uint64_t)t->output_mb << 20,
                                    .network = t->network,
                                    .read = read,
                                    .write = write,
                                    .cancel = o->observer->cancel};
    msfl_status status = home == NULL || tmp == NULL || here == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) status = client_sandbox_run(&sandbox, outcome);
    for (uint32_t i = 0; i < t->n_command; i++)
        msfl_free(parents[i]);
    msfl_free(home);
    msfl_free(tmp);
    msfl_free(here);
    return status;
}

/* --- what comes out --- */

static msfl_status judge(const job_plan *plan, const place *p, const client_outcome *outcome) {
    if (outcome->signal != 0) {
        return msfl_fail(MSFL_ERR_DATA, "the trainer was ended by signal %d; what it printed is in %s", outcome->signal,
                         p->log);
    }
    if (outcome->exit_code == EXIT_STAYS_OUT && plan->kind != JOB_UPDATE) {
        return msfl_fail(MSFL_ERR_MISSING, "the trainer has no images for these figures");
    }
    if (outcome->exit_code != 0) {
        return msfl_fail(MSFL_ERR_DATA, "the trainer ended with exit status %d; what it printed is in %s",
                         outcome->exit_code, p->log);
    }
    return MSFL_OK;
}

static msfl_status read_update(const client_learner_options *o, const place *p, float *weights) {
    char *path = weights_path(&o->site->trainer, p->out);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = client_tensors_read(path, o->site->trainer.format, o->shape, weights);
    msfl_free(path);
    return status;
}

static msfl_status read_out(const client_learner_options *o, const job_plan *plan, const place *p, float *weights,
                            client_result *out) {
    char *path = msfl_path_join(p->out, "result.json");
    uint8_t *text = NULL;
    size_t length;
    struct stat st;
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK && (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))) {
        status =
            msfl_fail(MSFL_ERR_FORMAT, "the trainer has not written out/result.json; what it printed is in %s", p->log);
    }
    if (status == MSFL_OK) status = msfl_file_read(path, CLIENT_OUTCOME_BYTES_MAX, &text, &length);
    if (status == MSFL_OK) {
        status = client_outcome_parse((const char *)text, length, plan->kind, o->shape->spec->samples_max,
                                      o->shape->n_structures, out);
    }
    if (status == MSFL_OK && plan->kind == JOB_UPDATE) status = read_update(o, p, weights);
    msfl_free(text);
    msfl_free(path);
    return status;
}

msfl_status client_command_run(const client_learner_options *o, const job_plan *plan, float *weights,
                               client_result *out) {
    place p;
    client_outcome outcome;
    char *in = NULL, held[200];
    msfl_status status = place_make(o->folder, &p);
    if (status == MSFL_OK) status = write_job(o, plan, p.in);
    if (status == MSFL_OK) {
        in = weights_path(&o->site->trainer, p.in);
        status = in == NULL ? MSFL_NO_MEMORY : client_tensors_write(in, o->site->trainer.format, o->shape, weights);
    }
    if (status == MSFL_OK) status = run(o, &p, &outcome);
    if (status == MSFL_OK) {
        client_sandbox_text(outcome.held, o->site->trainer.network, held);
        msfl_observe_text(o->observer, MSFL_EVENT_INFO, o->job, "trainer: %s", held);
        status = judge(plan, &p, &outcome);
    }
    if (status == MSFL_OK) status = read_out(o, plan, &p, weights, out);
    msfl_free(in);
    place_clear(&p);
    return status;
}
