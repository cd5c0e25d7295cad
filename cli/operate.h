/* What commands that talk to a coordinator have in common. */
#ifndef MSFL_CLI_OPERATE_H
#define MSFL_CLI_OPERATE_H

#include "medsecurefl/operator.h"
#include "text/json.h"
#include "unlock.h"

typedef struct cli_operate {
    const char *kit, *url;
    cli_unlock unlock;
} cli_operate;

#define CLI_OPERATE_OPTIONS(o)                                                                                         \
    {"kit", CLI_TEXT, &(o).kit, 0, 0, NULL}, {"url", CLI_TEXT, &(o).url, 0, 0, NULL},                                  \
        {"passphrase-file", CLI_TEXT, &(o).unlock.passphrase_file, 0, 0, NULL}, {                                      \
        "keyfile", CLI_TEXT, &(o).unlock.key_file, 0, 0, NULL                                                          \
    }

/** A connection with the kit that was named. ERR_USAGE without --kit. */
msfl_status cli_operate_open(const cli_operate *from, msfl_operator **out) MSFL_NODISCARD;
/** A value on standard output, indented. */
msfl_status cli_print_json(const json_t *value) MSFL_NODISCARD;

#endif
