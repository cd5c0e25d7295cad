/* policy.yaml: what this hospital takes part in. It is the hospital's own file; nothing that comes over the network
 * changes what it says. docs/formats/policy.md. */
#ifndef MSFL_CLIENT_POLICY_H
#define MSFL_CLIENT_POLICY_H

#include "client/bounds.h"
#include "job/plan.h"
#include "medsecurefl/roster.h"

#define CLIENT_FILE_POLICY "policy.yaml"

enum { CLIENT_MODELS_MAX = 64, CLIENT_TOLD_MAX = 200 };

/** Who trains. */
typedef enum client_trainer_kind { CLIENT_BUILTIN = 1, CLIENT_COMMAND = 2 } client_trainer_kind;

/** Which jobs may begin with weights that somebody brought. */
typedef enum client_brought {
    CLIENT_BROUGHT_NEVER,
    CLIENT_BROUGHT_TENSORS, /**< those of `tensors`, which have no others: the hospital's own trainer knows the network
                             */
    CLIENT_BROUGHT_ALWAYS
} client_brought;

typedef struct client_policy {
    bool packed, plain;                     /**< schemes */
    bool committee, authority, coordinator; /**< custodies */
    bool to_coordinator, to_clients;        /**< deliveries */
    uint32_t min_cohort, security_bits;
    uint32_t sums_per_job, sums_per_day; /**< encrypted sums that this hospital takes part in: training and figures */
    uint64_t values_max;                 /**< of a network */
    uint32_t trainers;                   /**< bits of client_trainer_kind */
    client_bounds bounds;                /**< on what updates are made of */
    client_brought brought;
    bool second_sums; /**< releases sums of two jobs on one model: see client_released_check */
    bool any_model;
    char
        *models[CLIENT_MODELS_MAX]; /**< n_models names, or hashes of descriptions in hexadecimal, besides these two: */
    uint32_t n_models;
    bool builtin_models, tensors; /**< all networks that come with the program; jobs that list tensors */
    bool from_file;               /**< false: the defaults, since there is no file */
} client_policy;

/** Strict: packed; committee or authority; 3 hospitals or more; 128 bits; networks that come with the program, with the
 *  weights that they begin with; client_bounds_default. */
client_policy client_policy_default(void);
/** Clear `out` in any case. Fields that are not there keep their defaults. */
msfl_status client_policy_parse(const char *name, const char *text, size_t length, client_policy *out) MSFL_NODISCARD;
/** FOLDER/policy.yaml; without the file the defaults. */
msfl_status client_policy_read(const char *folder, client_policy *out) MSFL_NODISCARD;
void client_policy_clear(client_policy *policy);
/** One line for people; msfl_free. NULL when out of memory. */
char *client_policy_text(const client_policy *policy);

/** What a member of the committee asks of a job, whatever it would train itself. ERR_POLICY, naming the rule. */
msfl_status client_policy_duty(const client_policy *policy, const job_spec *spec,
                               const msfl_roster_info *roster) MSFL_NODISCARD;
/** What a hospital asks of a job before anything of it is fetched or trained. ERR_POLICY, naming the rule. */
msfl_status client_policy_job(const client_policy *policy, const job_shape *shape, const msfl_roster_info *roster,
                              client_trainer_kind trainer) MSFL_NODISCARD;

/** What the coordinator is told of a refusal: of a hospital's rule its key alone ("policy images_min"), since bounds
 * and counts are the hospital's own; all of any other message. As many bytes as fit, ended with 0. */
void client_policy_told(const char *message, char *out, size_t out_bytes);

/** Sums that this hospital took part in. */
typedef struct client_tally {
    uint32_t of_job, of_day;
} client_tally;

/**
 * Whether a round that is announced, and its plan, are what the job's description said, and within this hospital's
 * rules. ERR_POLICY for a rule of the hospital, ERR_MISMATCH for a coordinator that announces something else than it
 * described.
 */
msfl_status client_policy_round(const client_policy *policy, const job_shape *shape, const msfl_roster_info *roster,
                                const msfl_announcement *announcement, const job_plan *plan,
                                const client_tally *tally) MSFL_NODISCARD;
/** The same of a plan alone: a job of scheme plain announces nothing. */
msfl_status client_policy_plan(const client_policy *policy, const job_shape *shape, const job_plan *plan,
                               const client_tally *tally) MSFL_NODISCARD;

#endif
