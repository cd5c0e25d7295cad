/* medsecurefl add: a sum of encrypted files, without any key. */
#include "base/error.h"
#include "base/mem.h"
#include "cmd.h"
#include "files.h"

#include <sys/resource.h>

msfl_status cmd_add(int argc, char **argv) {
    const char *out = NULL;
    bool force = false, quiet = false;
    const cli_option options[] = {
        {"out", CLI_TEXT, &out, 0, 0, "o"},
        {"force", CLI_FLAG, &force, 0, 0, "f"},
        {"quiet", CLI_FLAG, &quiet, 0, 0, "q"},
        {0},
    };
    const char **paths = msfl_alloc((size_t)argc + 1, sizeof(const char *));
    if (paths == NULL) return MSFL_ERR_MEMORY;
    size_t n = 0;
    msfl_status status = cli_parse(argc, argv, options, paths, (size_t)argc, &n);
    if (status == MSFL_OK && (n < 1 || out == NULL)) {
        status = msfl_fail(MSFL_ERR_USAGE, "add takes files that are to be added, and -o FILE.msc; see --help");
    }
    if (status == MSFL_OK) status = cli_refuse_existing(out, force);
    if (status == MSFL_OK) {
        struct rlimit files;
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* all of them are open at once */
            files.rlim_cur = files.rlim_max;
            (void)setrlimit(RLIMIT_NOFILE, &files);
        }
        msfl_observer observer;
        cli_terminal *terminal = cli_watch(out, quiet, &observer);
        const msfl_cipher_options o = {.replace = force, .observer = &observer};
        status = msfl_cipher_add(paths, n, &o, out);
        cli_terminal_free(terminal);
    }
    msfl_free(paths);
    return status;
}
