#include "pki/authority.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "pki/round.h"
#include "text/yaml.h"

#include <time.h>

/* A party's clock may be behind the authority's. */
static const int64_t SKEW_SECONDS = 300, DAY_SECONDS = 86400, AUTHORITY_DAYS = 3650;

static int64_t now_of(const msfl_provision_options *options) {
    return options->now != 0 ? options->now : (int64_t)time(NULL);
}

static msfl_status write_roster(const char *folder, const pki_roster *roster, const pki_identity *consortium) {
    msfl_buffer text = {0};
    msfl_status status = pki_roster_sign(roster, consortium->sign_secret, &text);
    if (status == MSFL_OK) status = pki_folder_write(folder, PKI_FILE_ROSTER, text.bytes, text.length);
    msfl_buffer_clear(&text);
    return status;
}

static msfl_status write_new(const char *folder, const msfl_provision_options *options, pki_roster *roster,
                             const char *plan_text, size_t plan_length) {
    uint8_t *key = NULL;
    size_t key_length;
    char *ca = NULL, *key_path = msfl_path_join(folder, PKI_FILE_CA_KEY),
         *consortium_path = msfl_path_join(folder, PKI_FILE_CONSORTIUM);
    pki_identity *consortium = NULL;
    pki_anchor *anchor = NULL;
    pki_sealer *sealer = NULL;
    msfl_status status = key_path == NULL || consortium_path == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) status = pki_sealer_new(options->authority, &sealer);
    if (status == MSFL_OK) status = pki_key_new(&key, &key_length);
    if (status == MSFL_OK) status = pki_identity_new(NULL, &consortium);
    if (status == MSFL_OK) {
        status = pki_authority_certificate(key, key_length, roster->federation, roster->created - SKEW_SECONDS,
                                           roster->created + AUTHORITY_DAYS * DAY_SECONDS, &ca);
    }
    if (status == MSFL_OK) status = pki_anchor_new(ca, strlen(ca), &anchor);
    if (status == MSFL_OK) {
        memcpy(roster->authority, pki_anchor_facts(anchor)->key, sizeof roster->authority);
        memcpy(roster->consortium, consortium->sign, sizeof roster->consortium);
        status = pki_secret_write(key_path, PKI_FILE_CA_KEY, key, key_length, sealer);
    }
    if (status == MSFL_OK) {
        status = pki_identity_write(consortium_path, PKI_FILE_CONSORTIUM, consortium, sealer);
    }
    if (status == MSFL_OK) status = pki_folder_write(folder, PKI_FILE_CA, ca, strlen(ca));
    if (status == MSFL_OK) status = pki_folder_write(folder, PKI_FILE_PLAN, plan_text, plan_length);
    if (status == MSFL_OK) status = write_roster(folder, roster, consortium);
    pki_anchor_free(anchor);
    pki_sealer_free(sealer);
    msfl_secret_free(consortium);
    msfl_secret_free(key);
    msfl_free(ca);
    msfl_free(key_path);
    msfl_free(consortium_path);
    return status;
}

msfl_status pki_authority_create(const char *folder, const char *plan_text, size_t plan_length, const pki_plan *plan,
                                 const msfl_provision_options *options) {
    bool empty = true;
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = msfl_folder_make(folder);
    if (status == MSFL_OK) status = msfl_folder_is_empty(folder, &empty);
    if (status == MSFL_OK && !empty) {
        status = msfl_fail(MSFL_ERR_EXISTS,
                           "%s holds something, but no roster: an interrupted beginning, or something else; remove it",
                           folder);
    }
    if (status != MSFL_OK) return status;
    pki_roster *roster = pki_roster_new();
    if (roster == NULL) return MSFL_NO_MEMORY;
    memcpy(roster->federation, plan->federation, sizeof roster->federation);
    memcpy(roster->url, plan->url, sizeof roster->url);
    roster->epoch = 1;
    roster->created = now_of(options);
    status = write_new(folder, options, roster, plan_text, plan_length);
    msfl_free(roster);
    return status;
}

static msfl_status read_keys(pki_authority *a, const msfl_unlock *unlock) {
    char *key = msfl_path_join(a->folder, PKI_FILE_CA_KEY),
         *consortium = msfl_path_join(a->folder, PKI_FILE_CONSORTIUM);
    msfl_status status = key == NULL || consortium == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) status = pki_secret_read(key, PKI_FILE_CA_KEY, unlock, &a->ca_key, &a->ca_key_length);
    if (status == MSFL_OK) status = pki_identity_read(consortium, PKI_FILE_CONSORTIUM, unlock, &a->consortium);
    if (status == MSFL_OK) status = pki_key_check(a->ca_key, a->ca_key_length, a->ca, strlen(a->ca));
    msfl_free(key);
    msfl_free(consortium);
    return status;
}

msfl_status pki_authority_open(const char *folder, const msfl_provision_options *options, pki_authority *a) {
    *a = (pki_authority){.lock = -1, .now = now_of(options)};
    char *text = NULL, *ca_path = msfl_path_join(folder, PKI_FILE_CA);
    size_t length;
    a->folder = msfl_strdup(folder);
    msfl_status status = a->folder == NULL || ca_path == NULL ? MSFL_NO_MEMORY : msfl_crypto_init();
    if (status == MSFL_OK) status = msfl_file_lock(ca_path, &a->lock);
    if (status == MSFL_OK) status = pki_folder_read(folder, PKI_FILE_CA, PKI_PEM_BYTES_MAX, &a->ca, &length);
    if (status == MSFL_OK) status = read_keys(a, options->authority);
    if (status == MSFL_OK) status = pki_folder_read(folder, PKI_FILE_ROSTER, PKI_ROSTER_BYTES_MAX, &text, &length);
    if (status == MSFL_OK) {
        status = pki_roster_parse(PKI_FILE_ROSTER, text, length, a->consortium->sign, &a->roster);
        msfl_free(text);
        text = NULL;
    }
    if (status == MSFL_OK) status = pki_folder_read(folder, PKI_FILE_PLAN, MSFL_YAML_BYTES_MAX, &text, &length);
    if (status == MSFL_OK) status = pki_plan_parse(PKI_FILE_PLAN, text, length, &a->plan);
    msfl_free(text);
    msfl_free(ca_path);
    return status == MSFL_OK ? status : msfl_fail_in(status, "the authority in %s", folder);
}

void pki_authority_close(pki_authority *a) {
    if (a->lock >= 0) msfl_file_unlock(a->lock);
    msfl_secret_free(a->ca_key);
    msfl_secret_free(a->consortium);
    msfl_free(a->ca);
    msfl_free(a->roster);
    msfl_free(a->plan);
    msfl_free(a->folder);
    *a = (pki_authority){.lock = -1};
}

/* Whether a renewal is one: the same identity, of a party that nobody had to shut out. */
static msfl_status check_identity(const pki_party *p, const pki_request *request) {
    if (p->n_certificates == 0) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "'%s' was revoked, and its keys may be known to others: rotate its identity too (without "
                         "--certificate-only)",
                         p->name);
    }
    if (msfl_equal(p->sign, request->sign, sizeof p->sign) && msfl_equal(p->box, request->box, sizeof p->box)) {
        return MSFL_OK;
    }
    return msfl_fail(MSFL_ERR_MISMATCH,
                     "the request is for another identity than the roster has of '%s': make it from the kit, with "
                     "'provision request --kit', or rotate the identity too (without --certificate-only)",
                     p->name);
}

/* The party's place in the roster, made for it if it is new. */
static msfl_status place_of(pki_authority *a, const pki_request *request, msfl_rotation rotation, pki_party **out) {
    pki_roster *r = a->roster;
    pki_party *p = (pki_party *)pki_roster_find(r, request->name);
    if (p == NULL && rotation != MSFL_ROTATE_NONE) {
        return msfl_fail(MSFL_ERR_MISSING, "'%s' is not in the roster, so there is nothing to rotate", request->name);
    }
    if (p != NULL && rotation == MSFL_ROTATE_NONE) {
        return msfl_fail(MSFL_ERR_EXISTS, "'%s' is in the roster already; --rotate replaces its certificate",
                         request->name);
    }
    if (p != NULL && p->role != request->role) {
        return msfl_fail(MSFL_ERR_MISMATCH, "'%s' is a %s in the roster and a %s in the request", request->name,
                         pki_role_name(p->role), pki_role_name(request->role));
    }
    if (p != NULL && rotation == MSFL_ROTATE_CERTIFICATE) {
        msfl_status status = check_identity(p, request);
        if (status != MSFL_OK) return status;
    }
    if (p == NULL && r->n_parties == PKI_PARTIES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "a federation has at most %d parties", PKI_PARTIES_MAX);
    }
    if (p == NULL && request->role == PKI_COORDINATOR && pki_roster_coordinator(r) != NULL) {
        return msfl_fail(MSFL_ERR_POLICY, "the federation has a coordinator, '%s'", pki_roster_coordinator(r)->name);
    }
    *out = p != NULL ? p : &r->parties[r->n_parties];
    return MSFL_OK;
}

msfl_status pki_authority_admit(pki_authority *a, const pki_request *request, msfl_rotation rotation, uint32_t days,
                                char **certificate) {
    *certificate = NULL;
    if (strcmp(request->federation, a->roster->federation) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "the request is for the federation '%s', this is '%s'", request->federation,
                         a->roster->federation);
    }
    pki_party *p = NULL;
    msfl_status status = place_of(a, request, rotation, &p);
    if (status != MSFL_OK || p == NULL) return status;
    const char *hosts[PKI_HOSTS_MAX];
    for (uint32_t i = 0; i < a->plan->n_hosts; i++)
        hosts[i] = a->plan->hosts[i];
    if (days == 0) days = a->plan->valid_days;
    pki_grant grant = {.federation = request->federation,
                       .name = request->name,
                       .role = request->role,
                       .hosts = hosts,
                       .n_hosts = request->role == PKI_COORDINATOR ? a->plan->n_hosts : 0,
                       .not_before = a->now - SKEW_SECONDS,
                       .not_after = a->now + (int64_t)days * DAY_SECONDS};
    pki_facts facts;
    char *pem;
    status = pki_certificate_issue(a->ca, a->ca_key, a->ca_key_length, request->csr, &grant, &facts, &pem);
    if (status != MSFL_OK) return status;
    pki_party next = {.role = request->role, .n_certificates = 1};
    memcpy(next.name, request->name, sizeof next.name);
    memcpy(next.sign, request->sign, sizeof next.sign);
    memcpy(next.box, request->box, sizeof next.box);
    next.certificates[0].not_after = facts.not_after;
    memcpy(next.certificates[0].serial, facts.serial, sizeof facts.serial);
    memcpy(next.certificates[0].key, facts.key, sizeof facts.key);
    if (p->n_certificates > 0 && p->certificates[0].not_after > a->now) {
        next.certificates[next.n_certificates++] = p->certificates[0];
    }
    if (p == &a->roster->parties[a->roster->n_parties]) a->roster->n_parties++;
    *p = next;
    *certificate = pem;
    return MSFL_OK;
}

static msfl_status revoke_one(pki_authority *a, const char *name, const pki_certificate *c, const char *reason) {
    pki_roster *r = a->roster;
    if (r->n_revoked == PKI_REVOKED_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%d revoked certificates have not expired yet: found a new federation",
                         PKI_REVOKED_MAX);
    }
    pki_revoked *x = &r->revoked[r->n_revoked++];
    *x = (pki_revoked){.when = a->now, .not_after = c->not_after};
    memcpy(x->name, name, strlen(name) + 1);
    memcpy(x->serial, c->serial, sizeof x->serial);
    memcpy(x->reason, reason, strlen(reason) + 1);
    return MSFL_OK;
}

msfl_status pki_authority_revoke(pki_authority *a, const char *name, bool previous_only, const char *reason) {
    msfl_status status = pki_reason_check(reason);
    if (status != MSFL_OK) return status;
    pki_party *p = (pki_party *)pki_roster_find(a->roster, name);
    uint32_t keep = previous_only ? 1 : 0;
    if (p == NULL || p->n_certificates <= keep) {
        return msfl_fail(MSFL_ERR_MISSING, "'%.*s' has no such certificate in the roster of epoch %u", PKI_NAME_MAX,
                         name, a->roster->epoch);
    }
    for (uint32_t i = keep; status == MSFL_OK && i < p->n_certificates; i++) {
        status = revoke_one(a, p->name, &p->certificates[i], reason);
        p->certificates[i] = (pki_certificate){0};
    }
    p->n_certificates = keep;
    return status;
}

msfl_status pki_authority_is_settled(const pki_authority *a, bool *settled) {
    *settled = false;
    pki_roster *wanted = pki_roster_new();
    if (wanted == NULL) return MSFL_NO_MEMORY;
    memcpy(wanted, a->roster, sizeof *wanted);
    msfl_status status = pki_committee_set(a->plan, wanted);
    if (status == MSFL_OK) *settled = pki_committee_same(a->roster, wanted);
    msfl_free(wanted);
    return status;
}

static msfl_status settle(pki_authority *a, bool even_without) {
    msfl_status status = pki_committee_set(a->plan, a->roster);
    if (status == MSFL_OK && a->roster->n_members > 0) status = pki_round_sign(a->roster, a->consortium);
    if (status == MSFL_OK || status == MSFL_ERR_MEMORY || !even_without) return status;
    pki_committee_clear(a->roster);
    return MSFL_OK;
}

msfl_status pki_authority_commit(pki_authority *a, bool even_without) {
    pki_roster *r = a->roster;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->n_revoked; i++) /* what has expired is refused for that */
        if (r->revoked[i].not_after > a->now) r->revoked[kept++] = r->revoked[i];
    r->n_revoked = kept;
    if (r->epoch == UINT32_MAX) return msfl_fail(MSFL_ERR_LIMIT, "no epoch is left");
    r->epoch++;
    r->created = a->now;
    msfl_status status = settle(a, even_without);
    return status == MSFL_OK ? write_roster(a->folder, r, a->consortium) : status;
}
