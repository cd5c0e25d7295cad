/* A dry run: everything but sending. */
#include "client/dry.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "client/data.h"
#include "client/sandbox.h"

#include <string.h>

static msfl_status make_out(const char *out) {
    bool empty;
    msfl_status status = msfl_folder_make(out);
    if (status == MSFL_OK) status = msfl_folder_is_empty(out, &empty);
    if (status == MSFL_OK && !empty) {
        status = msfl_fail(MSFL_ERR_EXISTS, "%s is not empty: name a new folder for what would leave", out);
    }
    return status;
}

static void clear(client_dry *d) {
    client_result_clear(&d->result);
    msfl_update_layout_free(d->layout);
    if (d->plan.clip == d->clip) d->plan.clip = NULL;
    job_plan_clear(&d->plan);
    msfl_free(d->weights);
    client_seat_clear(&d->seat);
    job_shape_free(d->shape);
    job_spec_clear(&d->spec);
    msfl_free(d->text);
    client_link_free(d->link);
    json_decref(d->messages);
    client_hub_clear(&d->hub);
}

static msfl_status train(client_dry *d) {
    client_learner *learner = NULL;
    char *folder = msfl_path_join(d->d->out, "training");
    if (folder == NULL) return MSFL_NO_MEMORY;
    static const int never = 0;
    const msfl_observer *from = d->hub.o->observer;
    msfl_observer observer = d->hub.observer;
    observer.cancel = from != NULL && from->cancel != NULL ? from->cancel : &never;
    const client_learner_options options = {.site = &d->hub.site,
                                            .bounds = &d->hub.policy.bounds,
                                            .shape = d->shape,
                                            .job = d->id,
                                            .client = d->seat.party,
                                            .folder = folder,
                                            .observer = &observer};
    msfl_status status = msfl_folder_make(folder);
    if (status == MSFL_OK) status = client_learner_new(&options, &learner);
    if (status == MSFL_OK) status = client_learner_run(learner, &d->plan, d->weights, &d->result);
    client_learner_free(learner);
    client_folder_remove(folder); /* an optimiser's state is no business of whoever looks at messages */
    msfl_free(folder);
    return status;
}

static msfl_status check(client_dry *d) {
    const client_trainer_kind trainer = d->hub.site.trainer.n_command > 0 ? CLIENT_COMMAND : CLIENT_BUILTIN;
    const client_tally none = {0, 0};
    msfl_status status = client_policy_job(&d->hub.policy, d->shape, d->seat.info, trainer);
    if (status == MSFL_OK) status = client_data_permits(&d->hub.site, &d->spec);
    if (status == MSFL_OK && strcmp(d->spec.scheme, "packed") != 0) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         "a job of scheme %s needs no dry run: the whole change of the weights would leave, readable",
                         d->spec.scheme);
    }
    if (status == MSFL_OK) {
        status = client_policy_round(&d->hub.policy, d->shape, d->seat.info, &d->announcement, &d->plan, &none);
    }
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "nothing would leave");
}

msfl_status msfl_client_dry_run(const msfl_client_options *options, const msfl_client_dry *dry, char **json) {
    *json = NULL;
    client_dry *d = msfl_alloc(1, sizeof *d);
    if (d == NULL) return MSFL_NO_MEMORY;
    d->d = dry;
    msfl_status status = make_out(dry->out);
    if (status == MSFL_OK) status = client_hub_init_reading(&d->hub, options);
    if (status == MSFL_OK && !d->hub.has_site) {
        status = msfl_fail(MSFL_ERR_USAGE, "a dry run is for a hospital: an authority sends sums of key shares alone");
    }
    if (status == MSFL_OK) status = client_dry_ask(d);
    if (status == MSFL_OK) status = check(d);
    if (status == MSFL_OK) status = train(d);
    if (status == MSFL_OK) status = client_dry_encrypt(d);
    if (status == MSFL_OK) status = client_dry_summarise(d, json);
    char *message = status == MSFL_OK ? NULL : msfl_strdup(msfl_error_message());
    clear(d);
    msfl_free(d);
    if (message != NULL) msfl_error_set(message);
    msfl_free(message);
    return status;
}

void msfl_client_text_free(char *text) {
    msfl_free(text);
}
