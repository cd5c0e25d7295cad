/* What an authority does: founding and enlarging a federation, approving, rotating, revoking. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "pki/authority.h"
#include "pki/keys.h"
#include "text/yaml.h"

#include <math.h>

static void fill(const pki_authority *a, uint32_t n_kits, uint32_t n_waiting, msfl_provision_result *out) {
    const pki_roster *r = a->roster;
    pki_roster_facts(r, out);
    out->n_kits = n_kits;
    out->n_waiting = n_waiting;
}

/* A folder of its own: what is there is never mixed with what is new. */
static msfl_status make_folder(const char *folder) {
    bool empty = true;
    msfl_status status = msfl_folder_make(folder);
    if (status == MSFL_OK) status = msfl_folder_is_empty(folder, &empty);
    if (status == MSFL_OK && !empty) {
        status = msfl_fail(MSFL_ERR_EXISTS,
                           "%s is not empty; name a new folder, or remove what an interrupted step left", folder);
    }
    return status;
}

static msfl_status copy_roster(const pki_authority *a, const char *folder) {
    char *text;
    size_t length;
    msfl_status status = pki_folder_read(a->folder, PKI_FILE_ROSTER, PKI_ROSTER_BYTES_MAX, &text, &length);
    if (status != MSFL_OK) return status;
    status = pki_folder_write(folder, PKI_FILE_ROSTER, text, length);
    msfl_free(text);
    return status;
}

/* A kit for keys that are here, as if their request had come: one way to become a party. */
static msfl_status make_kit(pki_authority *a, const pki_keys *keys, const char *name, pki_role role, const char *folder,
                            msfl_rotation rotation, const pki_sealer *sealer, uint32_t days) {
    char *certificate = NULL;
    pki_request *request = msfl_alloc(1, sizeof *request);
    msfl_buffer text = {0};
    msfl_status status = request == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) status = pki_keys_request(keys, a->roster->federation, name, role, &text, request);
    if (status == MSFL_OK) status = make_folder(folder);
    if (status == MSFL_OK) status = pki_keys_write(keys, folder, sealer);
    if (status == MSFL_OK) status = pki_authority_admit(a, request, rotation, days, &certificate);
    if (status == MSFL_OK) status = pki_kit_write(folder, a->roster, name, role, a->ca, certificate, true);
    msfl_buffer_clear(&text);
    msfl_free(certificate);
    msfl_free(request);
    return status;
}

static msfl_status make_new_kit(pki_authority *a, const char *name, pki_role role, const char *folder,
                                msfl_rotation rotation, const pki_sealer *sealer, uint32_t days) {
    pki_keys keys = {0};
    msfl_status status = pki_keys_new(&keys);
    if (status == MSFL_OK) status = make_kit(a, &keys, name, role, folder, rotation, sealer, days);
    pki_keys_clear(&keys);
    return status;
}

static msfl_status options_check(const msfl_provision_options *options) {
    if (options->valid_days <= MSFL_PROVISION_DAYS_MAX) return MSFL_OK;
    return msfl_fail(MSFL_ERR_USAGE, "certificates are valid for at most %d days", MSFL_PROVISION_DAYS_MAX);
}

static void tell(const msfl_provision_options *options, uint32_t done, uint32_t total) {
    const msfl_event event = {
        .kind = MSFL_EVENT_PROGRESS, .track = "kits", .client = 0, .done = done, .total = total, .loss = NAN};
    msfl_observe(options->observer, &event);
}

/* What founding and enlarging carry from step to step. */
typedef struct founding {
    const char *out;
    const msfl_provision_options *options;
    pki_sealer *sealer;
    bool made[PKI_PARTIES_MAX]; /* by place in the plan */
    uint32_t n_kits, n_waiting, n_here;
} founding;

/* Kits of those who are planned and not there. ERR_CANCELLED leaves whole kits only. */
static msfl_status admit_planned(pki_authority *a, founding *f) {
    const pki_plan *plan = a->plan;
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < plan->n_parties; i++) {
        if (pki_roster_find(a->roster, plan->parties[i].name) != NULL) continue;
        f->n_waiting += plan->parties[i].on_site;
        f->n_here += !plan->parties[i].on_site;
    }
    /* Argon2id once, and not at all where nothing is sealed. */
    if (f->n_here > 0) status = pki_sealer_new(f->options->kits, &f->sealer);
    for (uint32_t i = 0; status == MSFL_OK && i < plan->n_parties; i++) {
        const pki_plan_party *p = &plan->parties[i];
        if (p->on_site || pki_roster_find(a->roster, p->name) != NULL) continue;
        status = msfl_check_cancel(f->options->observer);
        if (status != MSFL_OK) break;
        char *folder = msfl_path_join(f->out, p->name);
        status = folder == NULL
                     ? MSFL_NO_MEMORY
                     : make_new_kit(a, p->name, p->role, folder, MSFL_ROTATE_NONE, f->sealer, f->options->valid_days);
        f->made[i] = status == MSFL_OK;
        f->n_kits += f->made[i];
        tell(f->options, f->n_kits, f->n_here);
        msfl_free(folder);
    }
    return status;
}

static msfl_status distribute(const pki_authority *a, const founding *f) {
    char *text = NULL;
    size_t length;
    msfl_status status = MSFL_OK;
    if (f->n_kits > 0) {
        status = pki_folder_read(a->folder, PKI_FILE_ROSTER, PKI_ROSTER_BYTES_MAX, &text, &length);
    }
    for (uint32_t i = 0; status == MSFL_OK && i < a->plan->n_parties; i++) {
        if (!f->made[i]) continue;
        char *folder = msfl_path_join(f->out, a->plan->parties[i].name);
        status = folder == NULL ? MSFL_NO_MEMORY : pki_folder_write(folder, PKI_FILE_ROSTER, text, length);
        msfl_free(folder);
    }
    msfl_free(text);
    return status;
}

/* The plan is the authority's from here on; it stands on disk once the roster does. What a cancelled run has made is
 * committed, so that a further one goes on behind it. */
static msfl_status enlarge(pki_authority *a, founding *f, const uint8_t *plan_text, size_t plan_length) {
    bool settled = false;
    msfl_status status = pki_authority_is_settled(a, &settled);
    msfl_status admitted = status == MSFL_OK ? admit_planned(a, f) : status;
    if (admitted != MSFL_OK && admitted != MSFL_ERR_CANCELLED) return admitted;
    if (f->n_kits > 0 || !settled) status = pki_authority_commit(a, false);
    if (status == MSFL_OK) status = pki_folder_write(a->folder, PKI_FILE_PLAN, plan_text, plan_length);
    if (status == MSFL_OK) status = distribute(a, f);
    if (status != MSFL_OK || admitted == MSFL_OK) return status;
    return msfl_fail(MSFL_ERR_CANCELLED,
                     "stopped on request; %u of %u kits were written and count, run it again for the rest", f->n_kits,
                     f->n_here);
}

msfl_status msfl_provision_create(const char *plan_path, const char *out, const msfl_provision_options *options,
                                  msfl_provision_result *result) {
    *result = (msfl_provision_result){0};
    uint8_t *text = NULL;
    size_t length;
    pki_plan *plan = NULL;
    pki_authority a = {.lock = -1};
    founding f = {.out = out, .options = options};
    char *ca = msfl_path_join(out, "ca"), *roster = ca == NULL ? NULL : msfl_path_join(ca, PKI_FILE_ROSTER);
    msfl_status status = roster == NULL ? MSFL_NO_MEMORY : options_check(options);
    if (status == MSFL_OK) status = msfl_file_read(plan_path, MSFL_YAML_BYTES_MAX, &text, &length);
    if (status == MSFL_OK) status = pki_plan_parse(plan_path, (const char *)text, length, &plan);
    if (status == MSFL_OK && !msfl_file_exists(roster)) {
        status = pki_authority_create(ca, (const char *)text, length, plan, options);
    }
    if (status == MSFL_OK) status = pki_authority_open(ca, options, &a);
    if (status == MSFL_OK && strcmp(a.roster->federation, plan->federation) != 0) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "%s is the authority of '%s', the plan is for '%s'", ca,
                           a.roster->federation, plan->federation);
    }
    if (status == MSFL_OK && strcmp(a.roster->url, plan->url) != 0) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "the coordinator of '%s' is at %s; every kit says so", plan->federation,
                           a.roster->url);
    }
    if (status == MSFL_OK) {
        pki_plan *old = a.plan;
        a.plan = plan;
        plan = old;
        status = enlarge(&a, &f, text, length);
    }
    if (status == MSFL_OK) fill(&a, f.n_kits, f.n_waiting, result);
    pki_sealer_free(f.sealer);
    pki_authority_close(&a);
    msfl_free(plan);
    msfl_free(text);
    msfl_free(roster);
    msfl_free(ca);
    return status;
}

msfl_status msfl_provision_approve(const char *path, const char *authority, const char *out, const uint8_t *fingerprint,
                                   msfl_rotation rotation, const msfl_provision_options *options,
                                   msfl_provision_result *result) {
    *result = (msfl_provision_result){0};
    uint8_t *text = NULL;
    size_t length;
    char *certificate = NULL;
    bool settled;
    pki_authority a = {.lock = -1};
    pki_request *request = msfl_alloc(1, sizeof *request);
    msfl_status status = request == NULL ? MSFL_NO_MEMORY : msfl_crypto_init();
    if (status == MSFL_OK) status = options_check(options);
    if (status == MSFL_OK) status = msfl_file_read(path, PKI_REQUEST_BYTES_MAX, &text, &length);
    if (status == MSFL_OK) status = pki_request_parse(path, (const char *)text, length, request);
    if (status == MSFL_OK && fingerprint != NULL &&
        !msfl_equal(fingerprint, request->fingerprint, sizeof request->fingerprint)) {
        status = msfl_fail(MSFL_ERR_MISMATCH,
                           "%s has another fingerprint than the site reads out: it was exchanged on the way", path);
    }
    if (status == MSFL_OK) status = pki_authority_open(authority, options, &a);
    if (status == MSFL_OK) status = pki_authority_admit(&a, request, rotation, options->valid_days, &certificate);
    if (status == MSFL_OK && rotation == MSFL_ROTATE_NONE) status = pki_authority_is_settled(&a, &settled);
    if (status == MSFL_OK) status = make_folder(out);
    if (status == MSFL_OK) {
        status = pki_kit_write(out, a.roster, request->name, request->role, a.ca, certificate, false);
    }
    if (status == MSFL_OK) status = pki_authority_commit(&a, rotation != MSFL_ROTATE_NONE);
    if (status == MSFL_OK) status = copy_roster(&a, out);
    if (status == MSFL_OK) fill(&a, 1, 0, result);
    pki_authority_close(&a);
    msfl_free(certificate);
    msfl_free(request);
    msfl_free(text);
    return status;
}

/* A rotated kit is there: sign, and give it the roster. */
static msfl_status finish_rotation(pki_authority *a, const char *out, msfl_provision_result *result) {
    msfl_status status = pki_authority_commit(a, true);
    if (status == MSFL_OK) status = copy_roster(a, out);
    if (status == MSFL_OK) fill(a, 1, 0, result);
    return status;
}

msfl_status msfl_provision_rotate(const char *authority, const char *name, const char *out,
                                  const msfl_provision_options *options, msfl_provision_result *result) {
    *result = (msfl_provision_result){0};
    pki_authority a = {.lock = -1};
    pki_sealer *sealer = NULL;
    msfl_status status = options_check(options);
    if (status == MSFL_OK) status = pki_authority_open(authority, options, &a);
    const pki_party *p = status == MSFL_OK ? pki_roster_find(a.roster, name) : NULL;
    if (status == MSFL_OK && p == NULL) {
        status = msfl_fail(MSFL_ERR_MISSING, "'%.*s' is not in the roster", MSFL_PROVISION_NAME_MAX, name);
    }
    if (status == MSFL_OK) status = pki_sealer_new(options->kits, &sealer);
    if (status == MSFL_OK && p != NULL) {
        status = make_new_kit(&a, p->name, p->role, out, MSFL_ROTATE_ALL, sealer, options->valid_days);
    }
    if (status == MSFL_OK) status = finish_rotation(&a, out, result);
    pki_sealer_free(sealer);
    pki_authority_close(&a);
    return status;
}

msfl_status msfl_provision_renew(const char *authority, const char *kit, const char *out, bool same_key,
                                 const msfl_provision_options *options, msfl_provision_result *result) {
    *result = (msfl_provision_result){0};
    pki_authority a = {.lock = -1};
    pki_sealer *sealer = NULL;
    pki_keys keys = {0};
    pki_config *config = msfl_alloc(1, sizeof *config);
    msfl_status status = config == NULL ? MSFL_NO_MEMORY : options_check(options);
    if (status == MSFL_OK) status = pki_authority_open(authority, options, &a);
    if (status == MSFL_OK) {
        status = pki_keys_of(kit, options->kits, same_key ? PKI_KEEP_BOTH : PKI_KEEP_IDENTITY, &keys, config);
    }
    if (status == MSFL_OK) status = pki_sealer_new(options->kits, &sealer);
    if (status == MSFL_OK) {
        status =
            make_kit(&a, &keys, config->name, config->role, out, MSFL_ROTATE_CERTIFICATE, sealer, options->valid_days);
    }
    if (status == MSFL_OK) status = finish_rotation(&a, out, result);
    pki_sealer_free(sealer);
    pki_keys_clear(&keys);
    pki_authority_close(&a);
    msfl_free(config);
    return status;
}

msfl_status msfl_provision_revoke(const char *authority, const char *name, bool previous_only, const char *reason,
                                  const msfl_provision_options *options, msfl_provision_result *result) {
    *result = (msfl_provision_result){0};
    pki_authority a = {.lock = -1};
    msfl_status status = pki_authority_open(authority, options, &a);
    if (status == MSFL_OK) status = pki_authority_revoke(&a, name, previous_only, reason);
    if (status == MSFL_OK) status = pki_authority_commit(&a, true);
    if (status == MSFL_OK) fill(&a, 0, 0, result);
    pki_authority_close(&a);
    return status;
}
