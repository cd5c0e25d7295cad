/* The subcommands and how they read their arguments. Data goes to stdout, prose to stderr. */
#ifndef MSFL_CLI_CMD_H
#define MSFL_CLI_CMD_H

#include "medsecurefl/status.h"

/** One subcommand: arguments after its name. A failure is printed by main, which also turns it into an exit code. */
typedef struct cli_command {
    const char *name;
    msfl_status (*run)(int argc, char **argv);
    const char *summary; /**< one line for `medsecurefl help` */
} cli_command;

msfl_status cmd_simulate(int argc, char **argv);
msfl_status cmd_reproduce(int argc, char **argv);
msfl_status cmd_evaluate(int argc, char **argv);
msfl_status cmd_predict(int argc, char **argv);
msfl_status cmd_data(int argc, char **argv);
msfl_status cmd_model(int argc, char **argv);
msfl_status cmd_params(int argc, char **argv);
msfl_status cmd_bench(int argc, char **argv);
msfl_status cmd_selftest(int argc, char **argv);
msfl_status cmd_keygen(int argc, char **argv);
msfl_status cmd_encrypt(int argc, char **argv);
msfl_status cmd_add(int argc, char **argv);
msfl_status cmd_decrypt(int argc, char **argv);
msfl_status cmd_inspect(int argc, char **argv);
msfl_status cmd_rotate_keys(int argc, char **argv);
msfl_status cmd_provision(int argc, char **argv);
msfl_status cmd_client(int argc, char **argv);
msfl_status cmd_authority(int argc, char **argv);
msfl_status cmd_audit(int argc, char **argv);
msfl_status cmd_coordinator(int argc, char **argv);
msfl_status cmd_job(int argc, char **argv);
msfl_status cmd_status(int argc, char **argv);

typedef enum cli_kind {
    CLI_FLAG, /**< bool *: --name */
    CLI_U32,  /**< uint32_t *, within [min, max] */
    CLI_U64,  /**< uint64_t *, within [min, max] (exact up to 2^53) */
    CLI_F64,  /**< double *, finite, within [min, max] */
    CLI_TEXT  /**< const char **: borrowed from argv */
} cli_kind;

/** --name VALUE or --name=VALUE; with a letter also -o VALUE. A table of these ends with {0}. */
typedef struct cli_option {
    const char *name; /**< without the dashes */
    cli_kind kind;
    void *value; /**< holds the default on entry */
    double min, max;
    const char *letter; /**< "o" for -o; NULL: none */
} cli_option;

/**
 * Read `argv` against `options`; what is not an option goes to `positional` (NULL-safe when positional_max is 0).
 * "--" ends the options. ERR_USAGE, naming the word and the nearest option, on anything else.
 * --help is handled by main before a command runs.
 */
MSFL_NODISCARD msfl_status cli_parse(int argc, char **argv, const cli_option *options, const char **positional,
                                     size_t positional_max, size_t *n_positional);

/** The page docs/man/<name>.md, built in; NULL if there is none. */
const char *cli_page(const char *name);

/** A flag that SIGINT and SIGTERM set; a second signal ends the process at once. For msfl_observer.cancel. */
const volatile int *cli_cancel_flag(void);

#endif
