/* What an authority does: founding and enlarging a federation, approving, rotating, revoking. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "pki/authority.h"
#include "text/yaml.h"

#include <unistd.h>

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

/* Keys here, then as if a request had come: one way to become a party. */
static msfl_status make_kit(pki_authority *a, const char *name, pki_role role, const char *folder, bool rotate,
                            const msfl_provision_options *options) {
    char *file = msfl_format("%s/%s.request", folder, name), *certificate = NULL;
    pki_request *request = msfl_alloc(1, sizeof *request);
    uint8_t *text = NULL, fingerprint[PKI_FINGERPRINT_BYTES];
    size_t length;
    msfl_status status = file == NULL || request == NULL ? MSFL_NO_MEMORY : make_folder(folder);
    if (status == MSFL_OK) {
        status = msfl_provision_request(a->roster->federation, name, pki_role_name(role), folder, options->kits,
                                        fingerprint);
    }
    if (status == MSFL_OK) status = msfl_file_read(file, PKI_REQUEST_BYTES_MAX, &text, &length);
    if (status == MSFL_OK) status = pki_request_parse(file, (const char *)text, length, request);
    if (status == MSFL_OK) status = pki_authority_admit(a, request, rotate, options->valid_days, &certificate);
    if (status == MSFL_OK) status = pki_kit_write(folder, a->roster, name, role, a->ca, certificate, true);
    if (status == MSFL_OK) (void)unlink(file); /* it has been granted */
    msfl_free(certificate);
    msfl_free(text);
    msfl_free(request);
    msfl_free(file);
    return status;
}

static msfl_status options_check(const msfl_provision_options *options) {
    if (options->valid_days <= MSFL_PROVISION_DAYS_MAX) return MSFL_OK;
    return msfl_fail(MSFL_ERR_USAGE, "certificates are valid for at most %d days", MSFL_PROVISION_DAYS_MAX);
}

static msfl_status admit_planned(pki_authority *a, const char *out, const msfl_provision_options *options, bool *made,
                                 uint32_t *n_kits, uint32_t *n_waiting) {
    const pki_plan *plan = a->plan;
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; status == MSFL_OK && i < plan->n_parties; i++) {
        const pki_plan_party *p = &plan->parties[i];
        if (pki_roster_find(a->roster, p->name) != NULL) continue;
        if (p->on_site) {
            (*n_waiting)++;
            continue;
        }
        char *folder = msfl_path_join(out, p->name);
        status = folder == NULL ? MSFL_NO_MEMORY : make_kit(a, p->name, p->role, folder, false, options);
        made[i] = status == MSFL_OK;
        *n_kits += made[i];
        msfl_free(folder);
    }
    return status;
}

static msfl_status distribute(const pki_authority *a, const char *out, const bool *made) {
    const pki_plan *plan = a->plan;
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; status == MSFL_OK && i < plan->n_parties; i++) {
        if (!made[i]) continue;
        char *folder = msfl_path_join(out, plan->parties[i].name);
        status = folder == NULL ? MSFL_NO_MEMORY : copy_roster(a, folder);
        msfl_free(folder);
    }
    return status;
}

msfl_status msfl_provision_create(const char *plan_path, const char *out, const msfl_provision_options *options,
                                  msfl_provision_result *result) {
    *result = (msfl_provision_result){0};
    uint8_t *text = NULL;
    size_t length;
    pki_plan *plan = NULL;
    pki_authority a = {.lock = -1};
    bool made[PKI_PARTIES_MAX] = {false}, settled = false;
    uint32_t n_kits = 0, n_waiting = 0;
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
    if (status == MSFL_OK) { /* from here on this plan is the authority's: it stands on disk once the roster does */
        pki_plan *old = a.plan;
        a.plan = plan;
        plan = old;
        status = pki_authority_is_settled(&a, &settled);
    }
    if (status == MSFL_OK) status = admit_planned(&a, out, options, made, &n_kits, &n_waiting);
    if (status == MSFL_OK && (n_kits > 0 || !settled)) status = pki_authority_commit(&a, false);
    if (status == MSFL_OK) status = pki_folder_write(ca, PKI_FILE_PLAN, text, length);
    if (status == MSFL_OK) status = distribute(&a, out, made);
    if (status == MSFL_OK) fill(&a, n_kits, n_waiting, result);
    pki_authority_close(&a);
    msfl_free(plan);
    msfl_free(text);
    msfl_free(roster);
    msfl_free(ca);
    return status;
}

msfl_status msfl_provision_approve(const char *path, const char *authority, const char *out, const uint8_t *fingerprint,
                                   bool rotate, const msfl_provision_options *options, msfl_provision_result *result) {
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
    if (status == MSFL_OK) status = pki_authority_admit(&a, request, rotate, options->valid_days, &certificate);
    if (status == MSFL_OK && !rotate) status = pki_authority_is_settled(&a, &settled);
    if (status == MSFL_OK) status = make_folder(out);
    if (status == MSFL_OK) {
        status = pki_kit_write(out, a.roster, request->name, request->role, a.ca, certificate, false);
    }
    if (status == MSFL_OK) status = pki_authority_commit(&a, rotate);
    if (status == MSFL_OK) status = copy_roster(&a, out);
    if (status == MSFL_OK) fill(&a, 1, 0, result);
    pki_authority_close(&a);
    msfl_free(certificate);
    msfl_free(request);
    msfl_free(text);
    return status;
}

msfl_status msfl_provision_rotate(const char *authority, const char *name, const char *out,
                                  const msfl_provision_options *options, msfl_provision_result *result) {
    *result = (msfl_provision_result){0};
    pki_authority a = {.lock = -1};
    msfl_status status = options_check(options);
    if (status == MSFL_OK) status = pki_authority_open(authority, options, &a);
    const pki_party *p = status == MSFL_OK ? pki_roster_find(a.roster, name) : NULL;
    if (status == MSFL_OK && p == NULL) {
        status = msfl_fail(MSFL_ERR_MISSING, "'%.*s' is not in the roster", MSFL_PROVISION_NAME_MAX, name);
    }
    if (status == MSFL_OK && p != NULL) status = make_kit(&a, p->name, p->role, out, true, options);
    if (status == MSFL_OK) status = pki_authority_commit(&a, true);
    if (status == MSFL_OK) status = copy_roster(&a, out);
    if (status == MSFL_OK) fill(&a, 1, 0, result);
    pki_authority_close(&a);
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
