case $1 in
version) "$PYTHON_WITH_PIP" -m pip --version | cut -d ' ' -f 2 ;;
"download --index-url")
  "$PYTHON_WITH_PIP" -m pip download --no-deps \
    --index-url "http://$GATEWAY/$BUCKET/${PREFIX}simple/" b2o-demo
  mv -- *.whl "$FILE"
  ;;
"install --find-links")
  "$PYTHON_WITH_PIP" -m pip install --no-deps --no-index --target there \
    --find-links "http://$GATEWAY/$BUCKET/${PREFIX}simple/b2o-demo/" b2o-demo
  PYTHONPATH=there "$PYTHON_WITH_PIP" -c 'import b2o_demo; print(b2o_demo.VALUE)' > "$FILE"
  ;;
esac
