#include "operate.h"

#include "base/error.h"
#include "base/mem.h"
#include "cmd.h"

#include <stdio.h>

msfl_status cli_operate_open(const cli_operate *from, msfl_operator **out) {
    msfl_unlock *unlock = NULL;
    msfl_status status = MSFL_OK;
    *out = NULL;
    if (from->kit == NULL)
        return msfl_fail(MSFL_ERR_USAGE, "--kit FOLDER: the kit of an operator or of the coordinator");
    if (from->unlock.passphrase_file != NULL || from->unlock.key_file != NULL) {
        status = cli_unlock_read(&from->unlock, "", "passphrase of the kit", false, &unlock);
    }
    if (status == MSFL_OK) status = msfl_operator_new(from->kit, unlock, from->url, cli_cancel_flag(), out);
    msfl_unlock_free(unlock);
    return status;
}

msfl_status cli_print_json(const json_t *value) {
    char *text;
    msfl_status status = msfl_json_text(value, false, &text);
    if (status == MSFL_OK) printf("%s\n", text);
    msfl_free(text);
    return status;
}
