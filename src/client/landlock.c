#include "client/landlock.h"

#if defined(__linux__) && __has_include(<linux/landlock.h>)
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights of the first version; those of later ones by their numbers, since the headers may be older than the kernel. */
enum {
    RIGHTS_V1 = (1 << 13) - 1,
    RIGHT_REFER = 1 << 13,    /* version 2 */
    RIGHT_TRUNCATE = 1 << 14, /* version 3 */
    READS = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    OF_FILES =
        LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE
};

static bool allow(int rules, const char *path, uint64_t rights) {
    struct stat st;
    struct landlock_path_beneath_attr rule = {.parent_fd = open(path, O_PATH | O_CLOEXEC)};
    if (rule.parent_fd < 0) return true;
    const bool known = fstat(rule.parent_fd, &st) == 0;
    rule.allowed_access = known && S_ISDIR(st.st_mode) ? rights : rights & OF_FILES;
    const bool fine = known && syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0u) == 0;
    close(rule.parent_fd);
    return fine;
}

int client_landlock_new(const char *const *read, const char *const *write) {
    const long version = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) return -1;
    const uint64_t all = RIGHTS_V1 | (version >= 2 ? RIGHT_REFER : 0u) | (version >= 3 ? RIGHT_TRUNCATE : 0u);
    const struct landlock_ruleset_attr attributes = {.handled_access_fs = all};
    const int rules = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0u);
    if (rules < 0) return -1;
    bool fine = fcntl(rules, F_SETFD, FD_CLOEXEC) == 0;
    for (; fine && *read != NULL; read++)
        fine = allow(rules, *read, READS);
    for (; fine && *write != NULL; write++)
        fine = allow(rules, *write, all);
    /* Programs write to /dev/null and the like, which make nothing. */
    fine = fine && allow(rules, "/dev", READS | LANDLOCK_ACCESS_FS_WRITE_FILE);
    fine = fine && allow(rules, "/dev/shm", all);
    if (fine) return rules;
    close(rules);
    return -1;
}

bool client_landlock_enter(int rules) {
    return rules >= 0 && syscall(SYS_landlock_restrict_self, rules, 0u) == 0;
}
#else
int client_landlock_new(const char *const *read, const char *const *write) {
    (void)read, (void)write;
    return -1;
}
bool client_landlock_enter(int rules) {
    (void)rules;
    return false;
}
#endif
