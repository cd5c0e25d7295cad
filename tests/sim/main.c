/* sim_round [--seeds N] [--first S] [--seed S [--verbose]] [--real] [--mutant NAME | --mutants]
 *
 * Replays N seeds and prints the first that breaks an invariant; `--seed S --verbose` shows that one. In the build with
 * mutants, --mutants takes every guard and every kind of journal record away, one after the other, and demands that
 * some seed notices. */
#include "sim.h"

#include <time.h>

#ifdef MSFL_MUTANTS
int msfl_mutant;
#endif

typedef struct mutant {
    const char *name;
    int guard, driver;
} mutant;

static const mutant mutants[] = {
#ifdef MSFL_MUTANTS
#define AS_MUTANT(name, why) {#name, MSFL_GUARD_##name, SIM_SOUND},
    MSFL_GUARD_LIST(AS_MUTANT)
#undef AS_MUTANT
#endif
        {"forget-joined", 0, SIM_FORGETS + MSFL_JOURNAL_JOINED},
    {"forget-voted", 0, SIM_FORGETS + MSFL_JOURNAL_VOTED},
    {"forget-answered", 0, SIM_FORGETS + MSFL_JOURNAL_ANSWERED},
    {"forget-upload", 0, SIM_FORGETS + MSFL_JOURNAL_UPLOAD},
    {"forget-cohort", 0, SIM_FORGETS + MSFL_JOURNAL_COHORT},
    {"forget-opened", 0, SIM_FORGETS + MSFL_JOURNAL_OPENED},
    {"forget-certified", 0, SIM_FORGETS + MSFL_JOURNAL_CERTIFIED},
    {"forget-history", 0, SIM_FORGETS + MSFL_JOURNAL_HISTORY},
    {"forget-reported", 0, SIM_FORGETS + MSFL_JOURNAL_REPORTED},
    {"send-before-journal", 0, SIM_SENDS_FIRST},
    {"spool-late", 0, SIM_SPOOL_LATE},
};

static void use(const mutant *m) {
#ifdef MSFL_MUTANTS
    msfl_mutant = m == NULL ? 0 : m->guard;
#endif
    sim_driver = m == NULL ? SIM_SOUND : m->driver;
}

/** Seeds until one fails; UINT64_MAX if none does. */
static uint64_t hunt(uint64_t first, uint64_t n, char *why, size_t why_length, uint64_t totals[SIM_TOTALS]) {
    for (uint64_t seed = first; seed < first + n; seed++) {
        if (!sim_run(seed, why, why_length, totals)) return seed;
    }
    return UINT64_MAX;
}

static int hunt_mutants(const char *only, uint64_t first, uint64_t n) {
    int survivors = 0, killed = 0;
    char why[512];
    for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++) {
        uint64_t totals[SIM_TOTALS] = {0};
        if (only != NULL && strcmp(only, mutants[i].name) != 0) continue;
        use(&mutants[i]);
        uint64_t seed = hunt(first, n, why, sizeof why, totals);
        if (seed == UINT64_MAX) {
            printf("SURVIVES %s: %llu seeds notice nothing\n", mutants[i].name, (unsigned long long)n);
            survivors++;
        } else {
            printf("killed %s by seed %llu: %s\n", mutants[i].name, (unsigned long long)seed, why);
            killed++;
        }
        fflush(stdout);
    }
    printf("%d mutants killed, %d survive\n", killed, survivors);
    return survivors == 0 && killed > 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    uint64_t n = 1000, first = 1;
    const char *only = NULL;
    bool all = false, one = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--seeds") == 0) n = strtoull(value, NULL, 10);
        if (strcmp(argv[i], "--first") == 0) first = strtoull(value, NULL, 10);
        if (strcmp(argv[i], "--mutant") == 0) only = value;
        if (strcmp(argv[i], "--mutants") == 0) all = true;
        if (strcmp(argv[i], "--verbose") == 0) sim_verbose = true;
        if (strcmp(argv[i], "--real") == 0) sim_real_crypto = true;
        if (strcmp(argv[i], "--seed") == 0) {
            first = strtoull(value, NULL, 10);
            n = 1;
            one = true;
        }
    }
    const msfl_params_request request = {
        .n_clients = SIM_CLIENTS_MAX, .value_bits = 2, .n_values = 1000, .ring_degree = 1024};
    msfl_params params;
    if (msfl_crypto_init() != MSFL_OK || msfl_params_plan(&request, &params) != MSFL_OK ||
        msfl_packed_new(&params, &sim_ctx) != MSFL_OK) {
        fprintf(stderr, "%s\n", msfl_error_message());
        return 2;
    }
    int result = 0;
    if (all || (only != NULL && !one)) {
        result = hunt_mutants(only, first, n);
    } else {
        for (size_t i = 0; only != NULL && i < sizeof mutants / sizeof *mutants; i++) {
            if (strcmp(only, mutants[i].name) == 0) use(&mutants[i]);
        }
        char why[512];
        uint64_t totals[SIM_TOTALS] = {0};
        const uint64_t seed = hunt(first, n, why, sizeof why, totals);
        if (seed != UINT64_MAX) {
            printf("FAILED: seed %llu: %s\nreplay: sim_round --seed %llu --verbose%s\n", (unsigned long long)seed, why,
                   (unsigned long long)seed, sim_real_crypto ? " --real" : "");
            result = 1;
        } else {
            printf("%llu seeds, %llu events: %llu rounds opened, %llu given up, %llu answers, %llu sums delivered to "
                   "hospitals; under lying coordinators "
                   "%llu answers, %llu sums, %llu deliveries opened, %llu of them on record\n",
                   (unsigned long long)n, (unsigned long long)totals[2], (unsigned long long)totals[0],
                   (unsigned long long)totals[1], (unsigned long long)totals[3], (unsigned long long)totals[6],
                   (unsigned long long)totals[4], (unsigned long long)totals[5], (unsigned long long)totals[7],
                   (unsigned long long)totals[8]);
        }
    }
    msfl_packed_free(sim_ctx);
    return result;
}
