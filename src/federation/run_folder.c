/* The folder of a run: what may be in it before, and what it begins with. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "federation/config.h"
#include "federation/run.h"

#include <string.h>
#include <sys/stat.h>

enum { CONFIG_BYTES_MAX = 1 << 20 };

msfl_status fed_run_path(const fed_run *r, const char *name, char **path) {
    *path = msfl_path_join(r->options.out, name);
    return *path == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}

msfl_status fed_run_write_json(const fed_run *r, const char *name, const json_t *value) {
    char *path;
    msfl_status status = fed_run_path(r, name, &path);
    if (status == MSFL_OK) status = msfl_json_write(path, value);
    msfl_free(path);
    return status;
}

/* How updates leave a hospital is decided by who runs the program, never by a file that someone may have changed. */
static msfl_status compare_policy(const fed_run *r, const msfl_simulate_options *named) {
    if (r->options.scheme == NULL || named->scheme == NULL || strcmp(r->options.scheme, named->scheme) != 0) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "the run in %s has scheme '%s': to continue it, name that again with --scheme %s",
                         r->options.out, r->options.scheme == NULL ? "" : r->options.scheme,
                         r->options.scheme == NULL ? "" : r->options.scheme);
    }
    if (r->options.allow_two_sites && !named->allow_two_sites) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "the run in %s lets two hospitals see each other's update: to continue it, accept that again "
                         "with --allow-two-sites",
                         r->options.out);
    }
    const char *custody = r->options.custody;
    if (custody != NULL && (named->custody == NULL || strcmp(custody, named->custody) != 0)) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "the run in %s has custody '%s': to continue it, name that again with --custody %s",
                         r->options.out, custody, custody);
    }
    const char *delivery = r->options.delivery, *wanted = named->delivery;
    if ((delivery == NULL) != (wanted == NULL) || (delivery != NULL && strcmp(delivery, wanted) != 0)) {
        return msfl_fail(MSFL_ERR_POLICY, "the run in %s has its sums opened by the %s: to continue it, %s",
                         r->options.out, delivery == NULL ? "coordinator" : delivery,
                         delivery == NULL                       ? "leave out --delivery"
                         : strcmp(delivery, "coordinator") == 0 ? "name that again with --delivery coordinator"
                                                                : "name that again with --delivery clients");
    }
    return MSFL_OK;
}

static msfl_status adopt_config(fed_run *r) {
    const msfl_simulate_options named = r->options;
    char *path;
    msfl_status status = fed_run_path(r, "config.json", &path);
    if (status != MSFL_OK) return status;
    if (!msfl_file_exists(path)) {
        status =
            msfl_fail(MSFL_ERR_MISSING, "%s holds no run to resume: leave out --resume to start one", r->options.out);
        goto done;
    }
    status = msfl_json_read(path, CONFIG_BYTES_MAX, &r->config);
    if (status != MSFL_OK) goto done;
    status =
        r->options.data == NULL ? fed_config_apply(r->config, &r->options) : fed_config_compare(r->config, &r->options);
    if (status == MSFL_OK) status = compare_policy(r, &named);
    if (status == MSFL_OK && (r->options.data == NULL || r->options.model == NULL || r->options.partition == NULL)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s lacks data, model or partition", path);
    }
done:
    msfl_free(path);
    return status;
}

msfl_status fed_run_find(fed_run *r) {
    bool empty = true;
    if (r->options.out == NULL || r->options.out[0] == 0) {
        return msfl_fail(MSFL_ERR_USAGE, "an output folder is needed: --out DIR");
    }
    msfl_status status = msfl_folder_foresee(r->options.out); /* rather than after hours of reading */
    if (status == MSFL_OK && msfl_file_exists(r->options.out)) status = msfl_folder_is_empty(r->options.out, &empty);
    if (status != MSFL_OK) return status;
    if (r->options.resume) return adopt_config(r);
    if (!empty) {
        return msfl_fail(MSFL_ERR_EXISTS, "the folder %s is not empty: name another, or continue its run with --resume",
                         r->options.out);
    }
    return MSFL_OK;
}

msfl_status fed_run_make(fed_run *r) {
    char *state = NULL, *config_path = NULL;
    const bool is_new = !msfl_file_exists(r->options.out);
    msfl_status status = msfl_folder_make(r->options.out);
    /* The owner's alone: the report shows images, and there are models of single hospitals. One that was there before
     * stays as whoever made it wanted it. */
    if (status == MSFL_OK && is_new && chmod(r->options.out, 0700) != 0) {
        status = msfl_fail(MSFL_ERR_IO, "cannot close %s to others", r->options.out);
    }
    if (status == MSFL_OK && !r->options.resume) {
        json_t *config = fed_config_json(&r->options);
        status = config == NULL ? MSFL_ERR_MEMORY : fed_run_write_json(r, "config.json", config);
        json_decref(config);
    }
    if (status == MSFL_OK) status = fed_run_path(r, "config.json", &config_path);
    if (status == MSFL_OK) status = msfl_file_lock(config_path, &r->lock);
    if (status == MSFL_OK) status = msfl_folder_clean(r->options.out, "");
    if (status == MSFL_OK) status = fed_run_path(r, "state", &state);
    if (status == MSFL_OK) status = msfl_folder_make(state);
    if (status == MSFL_OK) status = msfl_folder_clean(state, "");
    if (status == MSFL_OK && r->options.central != NULL) {
        msfl_free(state);
        state = msfl_path_join(r->options.central, "state");
        status = state == NULL ? MSFL_NO_MEMORY : msfl_folder_make(state);
    }
    msfl_free(config_path);
    msfl_free(state);
    return status;
}
