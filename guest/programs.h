// What programs.c has, each with the arguments of a program of its own.
int tick(int argc, char **argv);
int dhcp6(int argc, char **argv);
