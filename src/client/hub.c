#include "client/hub.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "pki/round.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

uint64_t client_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

msfl_status client_pause(const volatile int *stop, uint32_t ms) {
    enum { STEP_MS = 50 };
    for (uint32_t slept = 0; slept < ms; slept += STEP_MS) {
        if (msfl_is_set(stop)) return msfl_fail(MSFL_ERR_CANCELLED, "stopped on request");
        struct timespec pause = {.tv_nsec = (long)STEP_MS * 1000000};
        (void)nanosleep(&pause, NULL);
    }
    return msfl_is_set(stop) ? msfl_fail(MSFL_ERR_CANCELLED, "stopped on request") : MSFL_OK;
}

static void forward(void *ctx, const msfl_event *event) {
    client_hub *hub = ctx;
    pthread_mutex_lock(&hub->lock);
    msfl_observe(hub->o->observer, event);
    pthread_mutex_unlock(&hub->lock);
}

static msfl_status make_folder(client_hub *hub) {
    const msfl_client_options *o = hub->o;
    hub->folder = o->state != NULL ? msfl_strdup(o->state) : msfl_path_join(o->kit, "state");
    if (hub->folder == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_folder_make(hub->folder);
    /* Weights and ciphertexts of this hospital lie there: for its user alone. */
    if (status == MSFL_OK && chmod(hub->folder, 0700) != 0) {
        status = msfl_fail(MSFL_ERR_IO, "%s: its rights cannot be set to 0700", hub->folder);
    }
    return status;
}

static msfl_status open_store(client_hub *hub) {
    char *path = msfl_path_join(hub->folder, "client.db");
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = store_open(path, &hub->store);
    if (status == MSFL_ERR_EXISTS) {
        status = msfl_fail(MSFL_ERR_EXISTS, "another client works with %s: one at a time, or --state another folder",
                           hub->folder);
    }
    msfl_free(path);
    return status;
}

static msfl_status read_rules(client_hub *hub) {
    msfl_status status = client_policy_read(hub->o->kit, &hub->policy);
    if (status != MSFL_OK) return status;
    char *text = client_policy_text(&hub->policy);
    if (text == NULL) return MSFL_NO_MEMORY;
    msfl_observe_text(&hub->observer, MSFL_EVENT_INFO, "client", "%s", text);
    msfl_free(text);
    if (hub->kit->config.role != PKI_HOSPITAL) return MSFL_OK;
    status = client_site_read(hub->o->kit, &hub->site);
    hub->has_site = status == MSFL_OK;
    return status;
}

msfl_status client_hub_init_reading(client_hub *hub, const msfl_client_options *options) {
    hub->o = options;
    pthread_mutex_init(&hub->lock, NULL);
    hub->observer = (msfl_observer){
        .observe = forward, .ctx = hub, .cancel = options->observer == NULL ? NULL : options->observer->cancel};
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = pki_kit_load(options->kit, options->unlock, (int64_t)time(NULL), &hub->kit);
    if (status == MSFL_OK && hub->kit->config.role != PKI_HOSPITAL && hub->kit->config.role != PKI_AUTHORITY) {
        status = msfl_fail(MSFL_ERR_USAGE, "%s is a kit of role %s: a client is a hospital or an authority",
                           options->kit, pki_role_name(hub->kit->config.role));
    }
    if (status == MSFL_OK) status = pki_round_secret(hub->kit->identity, &hub->secret);
    return status == MSFL_OK ? read_rules(hub) : status;
}

msfl_status client_hub_init(client_hub *hub, const msfl_client_options *options) {
    msfl_status status = client_hub_init_reading(hub, options);
    if (status == MSFL_OK) status = make_folder(hub);
    if (status == MSFL_OK) status = open_store(hub);
    if (status == MSFL_OK) status = client_reporter_new(hub, &hub->reporter);
    return status;
}

void client_hub_clear(client_hub *hub) {
    if (hub->o == NULL) return;
    client_reporter_free(hub->reporter);
    store_close(hub->store);
    client_site_clear(&hub->site);
    client_policy_clear(&hub->policy);
    msfl_identity_free(hub->secret);
    pki_kit_free(hub->kit);
    msfl_free(hub->folder);
    pthread_mutex_destroy(&hub->lock);
    memset(hub, 0, sizeof *hub);
}

msfl_status client_hub_link(client_hub *hub, const volatile int *cancel, uint32_t attempts, client_link **out) {
    pthread_mutex_lock(&hub->lock);
    msfl_status status = client_link_new(hub->kit, cancel, attempts, out);
    pthread_mutex_unlock(&hub->lock);
    return status;
}

uint32_t client_hub_epoch(client_hub *hub) {
    pthread_mutex_lock(&hub->lock);
    const uint32_t epoch = hub->kit->roster->epoch;
    pthread_mutex_unlock(&hub->lock);
    return epoch;
}

/* --- a place in rounds --- */

void client_seat_clear(client_seat *seat) {
    msfl_roster_free(seat->roster);
    memset(seat, 0, sizeof *seat);
}

msfl_status client_seat_take(client_hub *hub, const uint8_t job[MSFL_HASH_BYTES], client_seat *out) {
    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&hub->lock);
    msfl_status status = pki_roster_round(hub->kit->roster, &out->roster);
    if (status == MSFL_OK) status = pki_round_party(hub->kit->roster, hub->kit->config.name, &out->party);
    out->epoch = hub->kit->roster->epoch;
    pthread_mutex_unlock(&hub->lock);
    if (status != MSFL_OK) {
        client_seat_clear(out);
        return status;
    }
    out->info = msfl_roster_borrow(out->roster);
    out->is_hospital = out->party < out->info->n_clients;
    for (uint32_t i = 0; i < out->info->k; i++)
        out->is_member = out->is_member || out->info->members[i] == out->party;
    job_task(job, msfl_roster_hash(out->roster), out->task);
    return MSFL_OK;
}
