"""What is a secret in settings, labels and build steps, what only looks like it, and what hostile texts cost."""

import time

import pytest

from audit import secrets
from audit.secrets import MAX_TEXT, is_secret, secrets_in

AWS_KEY = "AKIA" + "IOSFODNN7EXAMPLE"
HEX = "0f9e8d7c6b5a4938"
MIXED = "a1B2c3D4" * 12
SECONDS = 10  # of processor time for a text of MAX_TEXT; what is tried anew takes minutes

# Names whose value is a secret, with that value.
SETTINGS = {
    "DB_PASSWORD": "hunter2-hunter2",
    "MYSQL_ROOT_PASSWORD": "root",
    "POSTGRES_PASSWORD": "a",
    "REDIS_PASS": "1",
    "PGPASSWORD": "postgres",
    "SECRET_KEY_BASE": HEX,
    "APP_KEY": f"base64:{HEX}=",
    "dbPassword": "s3cr3t",
    "dbPass": "s3cr3t",
    "jwtSecret": "s3cr3t",
    "JWTSECRET": "s3cr3t",
    "clientSecret": "s3cr3t",
    "VNC_PW": "headless",
    "NPM_TOKEN": HEX,
    "_authToken": HEX,
    "com.example.api-key": HEX,
    "ROOT_PASSWORD": "pa$word",
    "ADMIN_PASSWORD": "/slash+and=more",
    "SSH_PASSWORD": "~tilde",
    "JWT_SECRET": "wJalr/XUtnFEMI/K7MDENG",
}

NO_SETTINGS = (
    ("DB_PASSWORD_HINT", "hunter2-hunter2"),
    ("MYSQL_ROOT_PASSWORD", ""),
    ("MYSQL_ALLOW_EMPTY_PASSWORD", "1"),
    ("MYSQL_RANDOM_ROOT_PASSWORD", "1"),
    ("REDIS_PASSWORD", "yes"),
    ("POSTGRES_PASSWORD_FILE", "run-secrets-password"),
    ("KEY_FILE", "server"),
    ("POSTGRES_HOST_AUTH_METHOD", "trust"),
    ("SSH_AUTH_SOCK", "/tmp/agent"),
    ("GIT_ASKPASS", "askpass"),
    ("PWD", "home"),
    ("BYPASS", "everything"),
    ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D"),
    ("GPG_KEYS", "A035C8C19219BA821ECEA86B64E628F8D684696D"),
    ("PYTHON_SHA256", HEX),
    ("NODE_VERSION", "18.1.0"),
    ("TOKEN_VERSION", "18.1.0"),
    ("MAX_TOKEN", "4096"),
    ("MODEL_MAX_TOKEN", "40960000"),
    ("MODEL_MAX_TOKENS", "40960000"),
    ("PAD_TOKEN", "[PAD]"),
    ("EOS_TOKEN", "</s>"),
    ("GOOGLE_APPLICATION_CREDENTIALS", "key/service.json"),
    ("APP_CREDENTIALS", "./service"),
    ("DB_PASSWORD", "/run/secrets/db"),
    ("DB_SECRET", "secrets/db-password"),
    ("DB_SECRET", "vault://kv/db"),
    ("PRIVATE_KEY", "~/.ssh/id_rsa"),
    ("DB_PASS", "%DB_PASS%"),
    ("JWT_SECRET", "{{ jwt_secret }}"),
    ("DB_PASSWORD", "${DB_PASSWORD}"),
    ("DB_PASSWORD", "prefix-${DB_PASSWORD}"),
    ("DB_PASSWORD", "$DB_PASSWORD"),
    ("DB_PASSWORD", "<password>"),
    ("DB_PASSWORD", "__DB_PASSWORD__"),
    ("DB_PASSWORD", "DB_PASSWORD"),
    ("API_KEY", "your-api-key"),
    ("API_KEY", "API_KEY_HERE"),
    ("API_KEY", "YOUR_API_KEY"),
    ("API_KEY", "MY_API_KEY"),
    ("API_KEY", "insert-key"),
    ("SECRET_KEY", "CHANGE_ME_PLEASE"),
    ("SECRET_KEY", "changeme"),
    ("SECRET_KEY", "change-this"),
    ("SECRET_KEY", "placeholder"),
    ("SECRET_KEY", "an-example"),
    ("SECRET_KEY", "xxx"),
    ("SECRET_KEY", "sk-xxxxxx"),
    ("SECRET_KEY", "********"),
    ("SECRET_KEY_BASE", "1"),
    ("SECRET_KEY_BASE", "dummy"),
    ("SECRET_KEY_BASE_DUMMY", "1"),
)

# Texts that hold a secret, and what it is called.
TEXTS = (
    (f"ENV A={AWS_KEY}", "an AWS access key"),
    ("-----BEGIN RSA PRIVATE KEY-----", "a private key"),
    ("-----BEGIN PGP PRIVATE KEY BLOCK-----", "a private key"),
    ("GH=ghp_" + MIXED[:36], "a GitHub token"),
    ("GH=github_pat_" + MIXED[:60], "a GitHub token"),
    ("T=glpat-" + MIXED[:20], "a GitLab token"),
    ("T=xoxb-" + MIXED[:40], "a Slack token"),
    ("T=npm_" + MIXED[:36], "an npm token"),
    ("T=pypi-AgEIcHlwaS5vcmc" + MIXED[:60], "a PyPI token"),
    ("T=hf_" + MIXED[:34], "a Hugging Face token"),
    ("T=sk-proj-" + MIXED[:60], "an OpenAI key"),
    ("T=sk-ant-api03-" + MIXED[:60], "an Anthropic key"),
    ("T=SG." + MIXED[:22] + "." + MIXED[:43], "a SendGrid key"),
    ("export token='0f9e8d7c6b5a'", "token"),
    ('ENV client.secret="0f9e8d7c6b5a"', "client.secret"),
    ("RUN |1 DB_PASSWORD=root /bin/sh -c make # buildkit", "DB_PASSWORD"),
    ("Server=db;User Id=sa;Password=Foo123;", "Password"),
    ('JAVA_OPTS="-Xmx1g -Dpassword=hunter2"', "-Dpassword"),
    ("jdbc:mysql://db/x?user=u&password=hunter2", "password"),
    ("echo 'root:mypassword' | chpasswd", "a password for chpasswd"),
    ("echo root:root|chpasswd", "a password for chpasswd"),
    ('echo -e "root:pw" | sudo /usr/sbin/chpasswd -c SHA512', "a password for chpasswd"),
    ("printf 'root:pw\\n' | chpasswd", "a password for chpasswd"),
    ("echo 'root:pa$word' | chpasswd", "a password for chpasswd"),
    ("chpasswd <<< 'root:pw'", "a password for chpasswd"),
    ("chpasswd <<EOF\nroot:pw\nEOF", "a password for chpasswd"),
    ("echo pw | passwd --stdin root", "a password for passwd"),
    ("useradd -p $(openssl passwd -1 hunter2) bob", "a password for openssl"),
    ("tool --password hunter2222", "--password"),
    ("tool --password=pw", "--password"),
    ("tool --db-password 'pw'", "--db-password"),
    ('wget --http-password="pw" http', "--http-password"),
    (f"sonar --token {HEX}", "--token"),
    ("keytool -storepass changeit", "-storepass"),
    ("redis-server --requirepass foobar", "--requirepass"),
    ("curl -u user:pw x", "a password for curl"),
    ("cd x && curl -sSfu 'user:pw' x", "a password for curl"),
    ("curl x --user user:pw", "a password for curl"),
    (f"curl -H 'Authorization: Bearer {HEX}' x", "an Authorization header"),
    ('curl -H "authorization: Basic dXNlcjpwdw==" x', "an Authorization header"),
    ("mysql -uroot -proot -e x", "a password for mysql"),
    ("mysql -prootpassword app", "a password for mysql"),
    ("/usr/bin/mysqldump -p'root' x", "a password for mysql"),
    ("mysqladmin -u root password hunter2", "a password for mysql"),
    ("sshpass -p hunter2 ssh host", "a password for sshpass"),
    ("psql -c \"CREATE USER docker WITH PASSWORD 'docker'\"", "a password in SQL"),
    ("GRANT ALL ON *.* TO u IDENTIFIED BY 'pw'", "a password in SQL"),
    ("echo mysql-server mysql-server/root_password password pw | debconf-set-selections", "a password for debconf"),
    ("debconf-set-selections <<< 'm m/root_password_again password pw'", "a password for debconf"),
    ("git clone https://bob:s3cr3tpw@git.example.org/x", "a password in a URL"),
    ("postgres://u:p@db/x", "a password in a URL"),
    ("redis://:pw@host:6379", "a password in a URL"),
    (f"git clone https://{HEX}{HEX}@git.example.org/x", "a token in a URL"),
)  # fmt: skip

NO_TEXTS = (
    'TOKENIZERS_PARALLELISM=false  MAX_TOKEN=4096 SECRET= PASSWORD=""',
    "PASSWORD=$PASSWORD TOKEN=${TOKEN} SECRET=$(cat x) SECRET=`cat x`",
    'AUTH_TOKEN=xxxxxxxxxx API_KEY=<none> PASSWORD="a$X"',
    "monkey=bananas-for-all",
    "ARG TOKEN",
    "ARG TOKEN=",
    "RUN |1 TOKEN= /bin/sh -c make",
    "--mount=type=secret,id=npm_token,target=/x",
    "docker build --secret id=npm_token .",
    "while read pass; do pass=1; done",
    "sed -i 's/#*PermitRootLogin prohibit-password/PermitRootLogin yes/' sshd_config",
    "sed 's/^password=.*$/password=${PASSWORD}/'",
    "echo '%sudo ALL=(ALL) NOPASSWD:ALL'",
    "echo root:$PW | chpasswd",
    'echo "root:${PW}" | chpasswd',
    'printf "root:%s" "$PW" | chpasswd',
    "cat users | chpasswd",
    "echo hello && cat pw | passwd root",
    "adduser --disabled-password app",
    "adduser --disabled-password --gecos '' app",
    "useradd -p '*' app",
    "docker login -u bob --password-stdin host",
    "docker login --password $PW host",
    "jupyter --NotebookApp.token= --NotebookApp.password=''",
    "psql --no-password app",
    "gpg --passphrase '' --quick-gen-key bob",
    "gh auth login --with-token < token.txt",
    "ffmpeg -pass 1 x",
    "apt-key adv --recv-keys A035C8C19219BA821ECEA86B64E628F8D684696D",
    'curl -u "$USER:$PASS" x',
    "curl --user-agent a:b x",
    "docker run -u 1000:1000 curl",
    "docker run -u www:data x",
    "curl x && docker run -u www:data x",
    "curl -H 'Authorization: Bearer $TOKEN' x",
    "curl -H 'Authorization: Bearer <token>' x",
    "curl -H 'Authorization: Bearer YOUR_TOKEN' x",
    "mkdir -pmode mysql",
    "mysql -h db -P3306 -p x",
    'mysql -p"$PW" x',
    "apt-get install -y mysql-server -pfoo",
    "debconf m/root_password password $PW",
    "m/root_password password ''",
    "curl https://user:$PASSWORD@host/ https://${USER}:${PW}@host/ https://u:<pw>@host/",
    "ssh://git@host/x https://bob@host/x https://host/vue@3.2.1 http://host:80/a@b",
    f"SENTRY_DSN=https://{HEX}{HEX}@o1.ingest.sentry.io/1",
    "T=xoxb-your-token-here T=sk-proj-xxxxxxxxxxxxxxxxxxxxxxxx",
)  # fmt: skip

HOSTILE = (
    "A=",
    'A="',
    "a:",
    "{{",
    "PASSWORD={{",
    "PASSWORD=/",
    "PASSWORD=a/",
    "PASSWORD=A_",
    "--password ",
    "--password=",
    "-a",
    "echo ",
    "echo a:b ",
    "echo 'a",
    "echo \\",
    "chpasswd",
    "chpasswd <<< ",
    "curl -u ",
    "-u a:b ",
    "mysql -pa ",
    " -pa",
    "a/pw",
    "a/pw password ",
    "http://",
    "http://a:",
    "http://a:a",
    "https://a1",
    "a+.-",
    "Authorization: Bearer ",
    "PASSWORD '",
    "openssl passwd -a ",
    "-----BEGIN ",
    "eyJaaaaaaaaaaa.",
    "sk-proj-x",
    " ",
    "a",
)


@pytest.mark.parametrize(("name", "value"), SETTINGS.items())
def test_a_setting_is_a_secret_by_its_name_whatever_the_length_of_its_value(name: str, value: str) -> None:
    assert is_secret(name, value)


@pytest.mark.parametrize(("name", "value"), NO_SETTINGS)
def test_switches_limits_places_and_placeholders_are_no_secrets(name: str, value: str) -> None:
    assert not is_secret(name, value)
    assert list(secrets_in(f"ENV {name}={value}")) == []


@pytest.mark.parametrize(("text", "what"), TEXTS)
def test_what_is_a_secret_in_a_text_is_named_once(text: str, what: str) -> None:
    assert list(secrets_in(text)) == [what]


@pytest.mark.parametrize("text", NO_TEXTS)
def test_what_only_looks_like_a_secret_in_a_text_is_left_alone(text: str) -> None:
    assert list(secrets_in(text)) == []


REPEATED = ("PASSWORD=a1 ", "--password a1 ", "sshpass -p a1 x;", f"glpat-{MIXED[:20]} ")


@pytest.mark.parametrize("piece", REPEATED)
def test_a_name_is_told_once_and_its_other_values_are_not_looked_at(
    piece: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    is_harmless = secrets._is_harmless

    def counting(value: str) -> bool:
        asked.append(value)
        return is_harmless(value)

    monkeypatch.setattr(secrets, "_is_harmless", counting)
    (what,) = secrets_in(piece * 1000)
    assert len(asked) <= 2
    asked.clear()
    assert list(secrets_in(piece * 1000, {what})) == []
    assert len(asked) <= 1


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_time_for_a_text_that_repeats_the_start_of_a_secret_is_bounded(piece: str) -> None:
    text = piece * (MAX_TEXT // len(piece))
    start = time.process_time()
    for _ in secrets_in(text):
        pass
    is_secret("PASSWORD", text)
    assert time.process_time() - start < SECONDS
