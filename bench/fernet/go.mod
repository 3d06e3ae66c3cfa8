module github.com/pganon/pganon/bench/fernet

go 1.26.0

require (
	github.com/fernet/fernet-go v0.0.0-20240119011108-303da6aec611
	github.com/pganon/pganon v0.0.0
)

replace github.com/pganon/pganon => ../..
