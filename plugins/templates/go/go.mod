module my-guard

go 1.24
