/* medsecurefl provision: the folders that the parties of a federation start from. */
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "cmd.h"
#include "files.h"
#include "medsecurefl/provision.h"
#include "text/json.h"
#include "unlock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct args {
    cli_unlock authority, kits;
    const char *out, *ca, *name, *federation, *role, *reason, *fingerprint, *kit;
    uint32_t days;
    bool rotate, certificate_only, same_key, previous, json, quiet;
    const char *words[2];
    size_t n_words;
} args;

static msfl_status read_args(int argc, char **argv, args *a) {
    const cli_option options[] = {
        {"out", CLI_TEXT, &a->out, 0, 0, "o"},
        {"ca", CLI_TEXT, &a->ca, 0, 0, NULL},
        {"name", CLI_TEXT, &a->name, 0, 0, NULL},
        {"federation", CLI_TEXT, &a->federation, 0, 0, NULL},
        {"role", CLI_TEXT, &a->role, 0, 0, NULL},
        {"reason", CLI_TEXT, &a->reason, 0, 0, NULL},
        {"fingerprint", CLI_TEXT, &a->fingerprint, 0, 0, NULL},
        {"days", CLI_U32, &a->days, 1, MSFL_PROVISION_DAYS_MAX, NULL},
        {"rotate", CLI_FLAG, &a->rotate, 0, 0, NULL},
        {"certificate-only", CLI_FLAG, &a->certificate_only, 0, 0, NULL},
        {"same-key", CLI_FLAG, &a->same_key, 0, 0, NULL},
        {"kit", CLI_TEXT, &a->kit, 0, 0, NULL},
        {"previous", CLI_FLAG, &a->previous, 0, 0, NULL},
        {"passphrase-file", CLI_TEXT, &a->authority.passphrase_file, 0, 0, NULL},
        {"keyfile", CLI_TEXT, &a->authority.key_file, 0, 0, NULL},
        {"kit-passphrase-file", CLI_TEXT, &a->kits.passphrase_file, 0, 0, NULL},
        {"kit-keyfile", CLI_TEXT, &a->kits.key_file, 0, 0, NULL},
        {"json", CLI_FLAG, &a->json, 0, 0, NULL},
        {"quiet", CLI_FLAG, &a->quiet, 0, 0, "q"},
        {0},
    };
    return cli_parse(argc, argv, options, a->words, 2, &a->n_words);
}

/* Without an option keys lie plain in files of mode 0600. */
static msfl_status unlock(const cli_unlock *from, const char *prefix, const char *what, bool is_new,
                          msfl_unlock **out) {
    *out = NULL;
    if (from->passphrase_file == NULL && from->key_file == NULL) return MSFL_OK;
    return cli_unlock_read(from, prefix, what, is_new, out);
}

static void day_text(int64_t seconds, char text[32]) {
    cli_time_text(seconds, text);
}

static msfl_status print_json(json_t *object) {
    if (object == NULL) return msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    char *text;
    msfl_status status = msfl_json_text(object, false, &text);
    json_decref(object);
    if (status != MSFL_OK) return status;
    printf("%s\n", text);
    msfl_free(text);
    return MSFL_OK;
}

/* null where no round can be run. */
static json_t *rounds_json(const msfl_provision_result *r) {
    if (r->custody == 0) return json_null();
    return json_pack("{ss si si si si ss}", "custody", msfl_custody_name(r->custody), "hospitals", (int)r->n_hospitals,
                     "members", (int)r->members, "threshold", (int)r->threshold, "corrupt", (int)r->corrupt, "trust",
                     msfl_custody_trust(r->custody));
}

static void print_rounds(const msfl_provision_result *r) {
    if (r->custody == 0) {
        printf("rounds       none can be run under this roster: %u hospitals are admitted", r->n_hospitals);
        printf(r->n_awaited > 0 ? ", %u parties awaited\n" : "; see 'committee' in the plan\n", r->n_awaited);
        return;
    }
    if (r->custody == MSFL_CUSTODY_COMMITTEE) {
        printf("rounds       %u hospitals; key shares: %u of %u members, of which %u may be corrupt\n", r->n_hospitals,
               r->threshold, r->members, r->corrupt);
    } else {
        printf("rounds       %u hospitals; keys: %s\n", r->n_hospitals, msfl_custody_name(r->custody));
    }
    printf("             %s\n", msfl_custody_trust(r->custody));
}

static msfl_status print_result(const args *a, const msfl_provision_result *r) {
    char hex[2 * MSFL_PROVISION_FINGERPRINT_BYTES + 1];
    char grouped[3 * MSFL_PROVISION_FINGERPRINT_BYTES];
    msfl_hex(r->fingerprint, sizeof r->fingerprint, hex);
    cli_grouped_hex(r->fingerprint, sizeof r->fingerprint, grouped);
    if (a->json) {
        return print_json(json_pack("{ss ss si si si si so}", "federation", r->federation, "fingerprint", hex, "epoch",
                                    (int)r->epoch, "parties", (int)r->n_parties, "kits", (int)r->n_kits, "waiting",
                                    (int)r->n_waiting, "rounds", rounds_json(r)));
    }
    printf("federation   %s, fingerprint %s\n", r->federation, grouped);
    printf("roster       epoch %u, %u parties\n", r->epoch, r->n_parties);
    print_rounds(r);
    if (r->n_kits > 0) printf("written      %u kit%s\n", r->n_kits, r->n_kits == 1 ? "" : "s");
    if (r->n_waiting > 0)
        printf("waiting      for the requests of %u parties that make their own keys\n", r->n_waiting);
    return MSFL_OK;
}

static msfl_status print_request(const args *a, const char *name, const uint8_t *fingerprint) {
    char grouped[3 * MSFL_PROVISION_FINGERPRINT_BYTES], hex[2 * MSFL_PROVISION_FINGERPRINT_BYTES + 1];
    cli_grouped_hex(fingerprint, MSFL_PROVISION_FINGERPRINT_BYTES, grouped);
    msfl_hex(fingerprint, MSFL_PROVISION_FINGERPRINT_BYTES, hex);
    if (a->json) return print_json(json_pack("{ss ss}", "name", name, "fingerprint", hex));
    printf("request of   %s\nfingerprint  %s\n", name, grouped);
    return MSFL_OK;
}

/* Of a request that was just made. */
static msfl_status print_new_request(const args *a, const char *name, const uint8_t *fingerprint) {
    msfl_status status = print_request(a, name, fingerprint);
    if (status == MSFL_OK && !a->json) {
        printf(
            "written      %s; the two private keys beside it stay there\n"
            "next         send the .request file to the authority, which approves it, and read the fingerprint out by "
            "telephone\n",
            a->out);
    }
    return status;
}

/* As the site reads it out and as it is shown: groups may stand apart, in quotes. */
static msfl_status parse_fingerprint(const char *text, uint8_t fingerprint[MSFL_KEY_ID_BYTES]) {
    char digits[2 * MSFL_KEY_ID_BYTES + 1];
    size_t n = 0;
    for (; *text != 0 && n < sizeof digits - 1; text++)
        if (*text != ' ') digits[n++] = *text;
    digits[n] = 0;
    while (*text == ' ')
        text++;
    if (*text == 0 && cli_key_id_parse(digits, fingerprint) == MSFL_OK) return MSFL_OK;
    return msfl_fail(MSFL_ERR_USAGE, "--fingerprint takes 32 hexadecimal digits; with spaces between them, in quotes");
}

static msfl_status need(const char *value, const char *what) {
    if (value != NULL) return MSFL_OK;
    return msfl_fail(MSFL_ERR_USAGE, "provision takes %s here; see --help", what);
}

static msfl_status run_create(const args *a, const msfl_provision_options *options) {
    msfl_provision_result result;
    msfl_status status = need(a->out, "--out FOLDER");
    if (status != MSFL_OK) return status;
    msfl_observer observer;
    msfl_provision_options watched = *options;
    cli_terminal *terminal = cli_watch("kits", a->quiet, &observer);
    watched.observer = &observer;
    status = msfl_provision_create(a->words[0], a->out, &watched, &result);
    cli_terminal_free(terminal);
    return status == MSFL_OK ? print_result(a, &result) : status;
}

/* With the identity of a kit that is there: whose it is stands in the kit. */
static msfl_status run_renewal(const args *a, const msfl_unlock *kits) {
    uint8_t fingerprint[MSFL_PROVISION_FINGERPRINT_BYTES];
    if (a->name != NULL || a->federation != NULL || a->role != NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "with --kit, name, federation and role are the kit's");
    }
    msfl_status status = msfl_provision_request_renewal(a->kit, a->out, a->same_key, kits, fingerprint);
    return status == MSFL_OK ? print_new_request(a, a->kit, fingerprint) : status;
}

static msfl_status run_request(const args *a) {
    uint8_t fingerprint[MSFL_PROVISION_FINGERPRINT_BYTES];
    char name[MSFL_PROVISION_NAME_MAX + 1];
    if (a->n_words == 2) { /* look at one */
        msfl_status status = msfl_provision_request_read(a->words[1], name, fingerprint);
        return status == MSFL_OK ? print_request(a, name, fingerprint) : status;
    }
    msfl_unlock *kits = NULL;
    bool renewal = a->kit != NULL;
    msfl_status status = need(a->out, "--out FOLDER");
    if (status == MSFL_OK && !renewal) status = need(a->name, "--name NAME");
    if (status == MSFL_OK && !renewal) status = need(a->federation, "--federation NAME");
    if (status == MSFL_OK) status = unlock(&a->kits, "kit-", "passphrase for the new keys", true, &kits);
    if (status == MSFL_OK && renewal) {
        status = run_renewal(a, kits);
    } else if (status == MSFL_OK) {
        status = msfl_provision_request(a->federation, a->name, a->role != NULL ? a->role : "hospital", a->out, kits,
                                        fingerprint);
        if (status == MSFL_OK) status = print_new_request(a, a->name, fingerprint);
    }
    msfl_unlock_free(kits);
    return status;
}

static msfl_status run_approve(const args *a, const msfl_provision_options *options) {
    uint8_t fingerprint[MSFL_KEY_ID_BYTES];
    msfl_provision_result result;
    msfl_status status = a->n_words == 2 ? MSFL_OK : msfl_fail(MSFL_ERR_USAGE, "provision approve takes a request");
    if (status == MSFL_OK) status = need(a->ca, "--ca FOLDER");
    if (status == MSFL_OK) status = need(a->out, "--out FOLDER");
    if (status == MSFL_OK && a->fingerprint != NULL) status = parse_fingerprint(a->fingerprint, fingerprint);
    if (status == MSFL_OK) {
        status = msfl_provision_approve(a->words[1], a->ca, a->out, a->fingerprint != NULL ? fingerprint : NULL,
                                        a->certificate_only ? MSFL_ROTATE_CERTIFICATE
                                        : a->rotate         ? MSFL_ROTATE_ALL
                                                            : MSFL_ROTATE_NONE,
                                        options, &result);
    }
    return status == MSFL_OK ? print_result(a, &result) : status;
}

static msfl_status run_rotate(const args *a, const msfl_provision_options *options) {
    msfl_provision_result result;
    msfl_status status = need(a->ca, "--ca FOLDER");
    if (status == MSFL_OK) status = need(a->out, "--out FOLDER");
    if (status == MSFL_OK && a->certificate_only) {
        status = need(a->kit, "--kit FOLDER, the kit whose identity goes on,");
        if (status == MSFL_OK) status = msfl_provision_renew(a->ca, a->kit, a->out, a->same_key, options, &result);
    } else if (status == MSFL_OK) {
        status = need(a->name, "--name NAME");
        if (status == MSFL_OK) status = msfl_provision_rotate(a->ca, a->name, a->out, options, &result);
    }
    return status == MSFL_OK ? print_result(a, &result) : status;
}

static msfl_status run_revoke(const args *a, const msfl_provision_options *options) {
    msfl_provision_result result;
    msfl_status status = need(a->ca, "--ca FOLDER");
    if (status == MSFL_OK) status = need(a->name, "--name NAME");
    if (status == MSFL_OK) {
        status =
            msfl_provision_revoke(a->ca, a->name, a->previous, a->reason != NULL ? a->reason : "", options, &result);
    }
    return status == MSFL_OK ? print_result(a, &result) : status;
}

static msfl_status run_show(const args *a) {
    msfl_provision_result result;
    msfl_provision_party *parties;
    uint32_t n;
    if (a->n_words != 2) return msfl_fail(MSFL_ERR_USAGE, "provision show takes a folder with a roster");
    msfl_status status = msfl_provision_list(a->words[1], &result, &parties, &n);
    if (status != MSFL_OK) return status;
    json_t *list = json_array();
    if (!a->json) status = print_result(a, &result);
    for (uint32_t i = 0; i < n; i++) {
        char until[32];
        day_text(parties[i].not_after, until);
        if (a->json) {
            (void)json_array_append_new(list, json_pack("{ss ss si sI}", "name", parties[i].name, "role",
                                                        parties[i].role, "certificates", (int)parties[i].n_certificates,
                                                        "not_after", (json_int_t)parties[i].not_after));
        } else {
            printf("%-12s %-40s %s\n", parties[i].role, parties[i].name,
                   parties[i].is_awaited            ? "its request has not come"
                   : parties[i].n_certificates == 0 ? "revoked"
                                                    : until);
        }
    }
    msfl_provision_parties_free(parties);
    if (!a->json) {
        json_decref(list);
        return status;
    }
    return print_json(
        json_pack("{ss si so}", "federation", result.federation, "epoch", (int)result.epoch, "parties", list));
}

static msfl_status run_check(const args *a) {
    msfl_provision_result result;
    char name[MSFL_PROVISION_NAME_MAX + 1], until[32];
    int64_t not_after;
    msfl_unlock *kits = NULL;
    if (a->n_words != 2) return msfl_fail(MSFL_ERR_USAGE, "provision check takes the folder of a kit");
    msfl_status status = unlock(&a->kits, "kit-", "passphrase of the keys", false, &kits);
    if (status == MSFL_OK) status = msfl_provision_check(a->words[1], kits, 0, name, &not_after, &result);
    msfl_unlock_free(kits);
    if (status != MSFL_OK) return status;
    status = print_result(a, &result);
    day_text(not_after, until);
    if (!a->json) printf("this kit     %s, certificate valid until %s\n", name, until);
    return status;
}

msfl_status cmd_provision(int argc, char **argv) {
    args a = {0};
    msfl_status status = read_args(argc, argv, &a);
    if (status != MSFL_OK) return status;
    if (a.n_words == 0) return msfl_fail(MSFL_ERR_USAGE, "provision takes a plan or an action; see --help");
    const char *action = a.words[0];
    if (strcmp(action, "request") == 0) return run_request(&a);
    if (strcmp(action, "show") == 0) return run_show(&a);
    if (strcmp(action, "check") == 0) return run_check(&a);
    bool approve = strcmp(action, "approve") == 0, rotate = strcmp(action, "rotate") == 0,
         revoke = strcmp(action, "revoke") == 0;
    if (!approve && !rotate && !revoke && a.n_words != 1) {
        return msfl_fail(MSFL_ERR_USAGE, "'%s' is no action: request, approve, rotate, revoke, show, check", action);
    }
    msfl_unlock *authority = NULL, *kits = NULL;
    status = unlock(&a.authority, "", "passphrase of the authority", false, &authority);
    if (status == MSFL_OK) status = unlock(&a.kits, "kit-", "passphrase for the keys of the kits", true, &kits);
    msfl_provision_options options = {.authority = authority, .kits = kits, .valid_days = a.days};
    if (status == MSFL_OK) {
        status = approve  ? run_approve(&a, &options)
                 : rotate ? run_rotate(&a, &options)
                 : revoke ? run_revoke(&a, &options)
                          : run_create(&a, &options);
    }
    msfl_unlock_free(authority);
    msfl_unlock_free(kits);
    return status;
}
